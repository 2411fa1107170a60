"""Search engines: read an index, write its slots, search them.

- ``source``        a document's fields: dotted paths, partial updates
- ``bm25``          full-text scores of the memory engine
- ``nearest``       exact nearest neighbours
- ``memory_index``  one index of the memory engine
- ``memory_generations``  generation indexes of the memory engine
- ``memory``        everything in this process, for tests and scenarios
- ``lance_layout``  an index as the columns of a LanceDB table
- ``lance_tables``  the tables of a folder: locked, compacted, errors translated
- ``lancedb``       embedded, on disk: the engine when no cluster is named
- ``opensearch_mapping``    what an index says about itself; how a slot is mapped
- ``opensearch_documents``  what of a document is asked for, and how the answer is read
- ``opensearch_bulk``       bulk requests and what each answer means
- ``opensearch_sizes``      sizes and shares as settings say them
- ``opensearch_load``       how loaded the nodes are that hold an index
- ``opensearch_enumeration``  every document in order of its id, for the proof
- ``opensearch_trial``      whether it would take our writes, by one that must lose
- ``opensearch_likeness``    what a new index shares with the one it is copied from
- ``opensearch_copies``      whole documents: how they are read and written elsewhere
- ``opensearch_generations`` generation indexes, and the alias between them
- ``opensearch_owner``      the owner of an index, for the demo, trials and tests
- ``opensearch``    a cluster
"""
