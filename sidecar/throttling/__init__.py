"""Whether a run may write now, how fast, and why not: measuring and deciding apart.

Files, in the order the data meets them:

- ``headroom``          what a re-embedding needs of the nodes, and what they lack
- ``search_probe``      how long live searches take, seen by asking some
- ``load_watch``        the newest figures, measured while a run goes on
- ``pace``              how fast a run may write
- ``throttle``          whether a run may write now, and why not
- ``load_limits``       limits of one figure each, that do not flap
- ``load_checks``       every reason to wait that the configuration leaves on
- ``watched_throttle``  a run's throttle with all that measures for it
"""
