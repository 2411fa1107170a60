"""A run as its operator sees it: its steps, where it stands, and the hand on it.

Files, in the order the data meets them:

- ``steps``       every named step of a re-embedding
- ``controls``    what the operator told a run: pause, throttle, postpone, cancel
- ``run_status``  the run under way or last ended, kept as it goes
- ``hand``        the operator's hand on a run, and where it stands in words
"""
