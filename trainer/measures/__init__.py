"""Measures as values: one class a file, named as they print.

``base`` holds the port; ``reciprocal_rank``, ``recall``, ``ndcg`` and ``hit`` are measures.
"""
