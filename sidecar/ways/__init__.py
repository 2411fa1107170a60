"""The ways to go live: slots in place, a new index behind the alias, or the query encoder alone.

Files, in the order the data meets them:

- ``preflight``       why an index must not be embedded again
- ``choice``          slots in place, a new index or the query encoder alone, and why
- ``query_way``       the query encoder alone, over the vectors that are live
- ``slot_way``        slots in place: build, keep near, swap
- ``write_block``     the record of held-up writes, put down before they are
- ``watchdog``        a child process that lets writes in when its parent cannot
- ``copying``         whole documents into an index of their own
- ``copy_proof``      proof that a copy is the same as its source
- ``alias_swap``      the alias from one index to its copy, with no write lost
- ``index_copies``    what a target's generation indexes are copied with
- ``index_way``       a new index behind the alias, and the way back
- ``index_recovery``  what a dead run left behind, finished or undone; old indexes let go
"""
