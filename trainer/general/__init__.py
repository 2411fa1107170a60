"""The frozen general suite; README.md here says what is in it and holds the notices.

- ``suite``  what an encoder must still be able to do, whatever it was tuned for
"""
