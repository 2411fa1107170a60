"""Embeddings on their way into an index: made once, delivered until each has an outcome.

Files, in the order the data meets them:

- ``patience``          how long work waits for an engine, and how often it asks again
- ``delivery``          writes handed to an engine until each has an outcome
- ``embedding_cache``   what was encoded once is never encoded again
- ``embedding_writer``  documents into one slot, each write guarded
- ``windows``           documents gathered and cut into batches of like length
"""
