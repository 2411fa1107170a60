"""Click logs: events since a cursor.

- ``file_formats``    NDJSON, CSV and Parquet as records, from a position on
- ``file_positions``  where reading stopped in each file, renamed and rotated ones too
- ``field_map``       records of any shape as events
- ``files``           click logs on disk
- ``ubi``             the User Behavior Insights indexes of OpenSearch
"""
