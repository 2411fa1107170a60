"""Measures as values: one class a file, named as they print."""
