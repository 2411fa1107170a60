"""Known answers become a log that the sidecar reads as any other.

Files, in the order the data meets them:

- ``log_files``    a simulated log as files that the files source reads
- ``written_log``  known answers become a written log and the truth beside it
"""
