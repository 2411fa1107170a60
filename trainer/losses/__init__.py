"""What the pairs mean to the encoder: one loss a file.

``base`` holds the port; ``infonce`` is the loss.
"""
