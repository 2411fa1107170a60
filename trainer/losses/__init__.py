"""What the pairs mean to the encoder: one loss a file."""
