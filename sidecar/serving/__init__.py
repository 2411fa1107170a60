"""What queries are answered by: the encoders in memory and the live generation.

Files, in the order the data meets them:

- ``encoders``  the encoders in memory
- ``live``      the one object a query is answered by
- ``intent``    what queries mean, told from memory, and what a search makes of it
- ``stage``     what the index loses of an encoder's answers
- ``replicas``  other sidecars load the next encoder first
"""
