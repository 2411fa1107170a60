"""Encoder families behind one port: serving (ONNX), training (sentence-transformers), fake.

``base`` holds the port, one module per family the rest; ``settings`` lie beside an exported graph.
Only ``sentence_transformers`` needs torch; ``onnx`` and ``fake`` are part of the base install.
"""
