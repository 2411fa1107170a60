"""The outside world: click logs, search engines, state stores. Knows nobody inside.

Files, in the order the data meets them:

- ``errors``         one root error and the families of causes
- ``events``         what users did: Query, Impression, Action
- ``documents``      what can be found: Document, Stamp, TextTemplate
- ``vector_check``   what was written can be told from all else
- ``log_source``     port: events since a cursor
- ``search_engine``  port: read an index, write slots, search them
- ``write_trial``    port: would slots be taken, found out by trying
- ``engine_load``    port: an engine that says how loaded it is
- ``generation_indexes``  port: an index built beside another, and the alias between them
- ``state_store``    port: small records changed by compare-and-set
- ``plugins``        built-ins and outsiders enter by the same entry points
- ``shared_folder``  files that machines share, wherever fsspec reaches
- ``opensearch_client``  one way to reach OpenSearch
- ``opensearch_errors``  what its error answers mean, in our words
- ``opensearch_shards``  how far each shard has come, and reading one whole
- ``ubi_records``    records of User Behavior Insights as our values
- ``ubi_indexes``    the indexes of User Behavior Insights, for trials
- ``relevance_judgments``  query sets and judgments as search-relevance keeps them
- ``judgment_files``       the same on disk
- ``search_relevance``     the same in a cluster
- ``logs``, ``engines``, ``stores``  the implementations
"""

if __name__ == "connectors":
    raise ImportError("import desireline.connectors, not the bare folder")
