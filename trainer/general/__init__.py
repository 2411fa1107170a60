"""The frozen general suite; README.md here says what is in it and holds the notices."""
