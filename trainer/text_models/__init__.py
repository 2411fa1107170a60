"""Local models that write queries or read pairs.

Files, in the order the data meets them:

- ``local_models``   a model from a folder, without running its code
- ``query_writer``   a local model writes queries for documents
- ``cross_encoder``  reads a query and a document together
"""
