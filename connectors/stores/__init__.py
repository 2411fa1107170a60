"""State stores: small records changed by compare-and-set.

- ``memory``      in this process, for tests and dry runs
- ``sqlite``      one file beside the embedded engine
- ``opensearch``  an index, so that two sidecars on one cluster see each other
"""
