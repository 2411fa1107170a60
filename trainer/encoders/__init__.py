"""Encoder families behind one port: serving (ONNX), training (sentence-transformers), fake.

``base`` holds the port, one module per family the rest; ``two_tower`` joins two of them into one
that encodes queries by the first and documents by the second. ``wrapping`` is what an encoder is
that stands before another, to keep or count what it makes. ``settings`` lie beside a graph, and
``word_tokens`` cuts plain texts for tables of word vectors.
Only ``sentence_transformers`` needs torch; ``onnx`` and ``fake`` are part of the base install.
"""
