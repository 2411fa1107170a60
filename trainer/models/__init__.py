"""What a registered model is, and how it comes from and goes to other machines.

Files, in the order the data meets them:

- ``disk_sync``     what was written is surely on the disk
- ``stored_files``  listed and hashed
- ``signing``       who stands behind a model
- ``manifest``      what a registered model is
- ``query_side``    what a query encoder shares with that of its documents
- ``taking``        a model from elsewhere, proved while it arrives
- ``shared``        the registry of several machines
- ``folder``        the models of this one: whole, and checked before use
"""
