"""Runs the cycle and serves its result. Knows connectors and trainer.

Files; first what everything stands on, then the data's way, then the doors:

- ``errors``            what can go wrong here
- ``reporting``         how long work tells where it is: a terminal, a log, a program
- ``telemetry``         log lines with fixed sentences, and metrics
- ``steps``             every named step of a re-embedding
- ``durations``         ``30s``, ``12h``, ``1d12h``
- ``cron``              cron lines, read as cron reads them
- ``config_paths``      paths are read from the configuration's own folder
- ``config_errors``     wrong fields, one line each
- ``log_settings``      a click log's settings, checked by its plugin
- ``target_config``     what a user may say about one target
- ``config``            the whole file, and the environment
- ``config_reference``  the configuration told from its own models
- ``text_fields``       which fields of an index are likely its text
- ``generations``       generations, their states, and the pointer
- ``lease``             who may write a target
- ``encoders``          the encoders in memory
- ``serving``           the one object a query is answered by
- ``embedding_cache``   what was encoded once is never encoded again
- ``patience``          how long work waits for an engine, and how often it asks again
- ``delivery``          writes handed to an engine until each has an outcome
- ``embedding_writer``  documents into one slot, each write guarded
- ``controls``          what the operator told a run: pause, throttle, postpone, cancel
- ``run_status``        the run under way or last ended, kept as it goes
- ``steering``          the operator's hand on a run, and where it stands in words
- ``background``        work beside a server, one piece a target
- ``once``              asked twice under one key, done once
- ``hook_config``       what a user may say about hooks
- ``hook_output``       what of a hook's output is shown
- ``hook_program``      one program, bounded in time and output
- ``webhook``           one call of a webhook that cannot be turned against us
- ``hooks``             the operator's programs at the named points of a run
- ``throttle_config``   what a user may say about when a run must wait
- ``headroom``          what a re-embedding needs of the nodes, and what they lack
- ``search_probe``      how long live searches take, seen by asking some
- ``load_watch``        the newest figures, measured while a run goes on
- ``pace``              how fast a run may write
- ``throttle``          whether a run may write now, and why not
- ``load_limits``       limits of one figure each, that do not flap
- ``load_checks``       every reason to wait that the configuration leaves on
- ``watched_throttle``  a run's throttle with all that measures for it
- ``worker_process``    heavy work in a child process
- ``target``            all the parts that one target is worked on with
- ``run``               one re-embedding under way
- ``cycle_report``      what one cycle did and why
- ``cycle``             the whole way in one short function
- ``base_encoder``      the encoder a user names, in the registry
- ``learning``          from the click log to a trained candidate
- ``examination``       what every ranker answers on held-out queries
- ``judging``           the gate's evidence and its verdict
- ``preflight``         why an index must not be embedded again
- ``way``               slots in place or a new index, and why
- ``building``          from a registered encoder to a live generation
- ``backfill``          old documents into the new slot
- ``catchup``           documents written since a fence
- ``verification``      what a proof found: kinds of difference, examples by id
- ``document_checks``   what one document of a generation must look like
- ``reencoding``        a sample of documents encoded again
- ``verify``            proof that every document carries the generation
- ``replicas``          other sidecars load the next encoder first
- ``cutover``           the atomic swap, and the way back
- ``follower``          keeps slots fresh while the application writes
- ``retention``         what nothing will serve again is removed
- ``plan``              what a re-embedding would do, said before
- ``persistence``       what lost its lease to an absent cluster is begun again
- ``schedule``          cycles by the clock
- ``operations``        all that can be asked of the sidecar
- ``api_keys``          who may ask what
- ``service``           the threads of a running sidecar
- ``wiring``            the one place where configuration becomes parts
- ``answering``         the HTTP server over one sidecar
- ``doctor``            is everything in place
- ``http``, ``cli``, ``demo``  the doors
"""

if __name__ == "sidecar":
    raise ImportError("import desireline.sidecar, not the bare folder")
