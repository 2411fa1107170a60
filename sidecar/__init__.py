"""Runs the cycle and serves its result. Knows connectors and trainer.

Files; first what everything stands on, then the data's way, then the doors:

- ``errors``            what can go wrong here
- ``configuration``     what a user may say, one file a table
- ``config``            the whole file, and the environment
- ``config_reference``  the configuration told from its own models
- ``reports``           what is told of work, cycles and logs
- ``generations``       generations, their states, and the pointer
- ``lease``             who may write a target
- ``serving``           what queries are answered by
- ``steering``          a run's steps, where it stands, and the operator's hand on it
- ``hooks``             the operator's programs at the named points of a run
- ``writing``           embeddings on their way into an index
- ``throttling``        whether a run may write now, how fast, and why not
- ``worker_process``    heavy work in a child process
- ``privacy``           what is kept of people, and in which form
- ``archive``           pulled events by day, and what is read from them
- ``proof``             what is looked at to prove that nothing was lost
- ``target``            all the parts that one target is worked on with
- ``run``               one re-embedding under way
- ``cycle``             the whole way in one short function
- ``models``            registered models: described, signed, shared, let go
- ``learning``          from the click log, or documents alone, to what teaches
- ``judging``           the gate's evidence and its verdict
- ``training``          one candidate, trained in one mode
- ``intent``            the night's intent head: learned, judged, appointed
- ``ladder``            modes of tuning, cheapest first, and the cheapest that is good enough
- ``erasing``           a client, or a query, leaves everything we hold
- ``ways``              slots in place, a new index, or the query encoder alone
- ``building``          from a registered encoder to a live generation
- ``backfill``          old documents into the new slot
- ``catchup``           documents written since a fence
- ``verify``            proof that every document carries the generation
- ``cutover``           the atomic swap, and the way back
- ``follower``          keeps slots fresh while the application writes
- ``on_request``        what people ask for beside the nightly cycle, and who may
- ``schedule``          cycles by the clock
- ``operations``        all that can be asked of the sidecar
- ``service``           the threads of a running sidecar
- ``wiring``            the one place where configuration becomes parts
- ``answering``         the HTTP server over one sidecar
- ``doctor``            is everything in place
- ``simulating``        known answers become a log to try the sidecar on
- ``http``, ``cli``, ``demo``  the doors
"""

if __name__ == "sidecar":
    raise ImportError("import desireline.sidecar, not the bare folder")
