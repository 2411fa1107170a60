"""Click logs: events since a cursor.

- ``files``  NDJSON, CSV and Parquet on disk
- ``ubi``    the User Behavior Insights indexes of OpenSearch
"""
