"""Pulled events on our disk by day, and what is read from them.

Files, in the order the data meets them:

- ``ledger``         which files of an event archive count, and the cursor with them
- ``files``          the Parquet files of an archive, a part each
- ``events``         what an archive holds: counted, scanned, read
- ``event_archive``  pulled events by day, and how far the log was read
- ``sample``         as much of an archive as memory holds
- ``shelves``        rows put to disk by what they belong to
- ``counts``         an archive of any size as the counts that click models take
- ``pulling``        from the click log into the archive, made private first
"""
