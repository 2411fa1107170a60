"""Sessions, judgments and documents become pairs: one way of finding them a file."""
