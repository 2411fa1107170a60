"""What the pairs mean to the encoder: one loss a file.

``base`` holds the port, ``embedding`` what a batch goes through; ``infonce`` is the loss.
"""
