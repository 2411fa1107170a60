"""Search engines: read an index, write its slots, search them.

- ``source``        a document's fields: dotted paths, partial updates
- ``bm25``          full-text scores of the memory engine
- ``nearest``       exact nearest neighbours
- ``memory_index``  one index of the memory engine
- ``memory``        everything in this process, for tests and scenarios
- ``lance_layout``  an index as the columns of a LanceDB table
- ``lance_tables``  the tables of a folder: locked, compacted, errors translated
- ``lancedb``       embedded, on disk: the engine when no cluster is named
- ``opensearch``    a cluster
"""
