"""Click logs: events since a cursor.

- ``file_places``     on disk, or anywhere fsspec reaches
- ``file_formats``    NDJSON, CSV and Parquet as records, from a position on
- ``file_positions``  where reading stopped in each file, renamed and rotated ones too
- ``field_map``       records of any shape as events
- ``log_window``      which records of an index are read at all
- ``rare_collection``  no garbage is sought among records
- ``shard_log``       indexes that only grow, read forward shard by shard
- ``files``           click logs in files
- ``opensearch_index``  click logs of any shape in OpenSearch
- ``ubi``             the User Behavior Insights indexes of OpenSearch
"""
