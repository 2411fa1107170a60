"""Measures as values: one class a file, named as they print.

``base`` holds the port; ``reciprocal_rank``, ``recall``, ``average_precision``, ``ndcg`` and
``hit`` are measures.
"""
