"""What people ask of the sidecar beside the nightly cycle, and who may.

Files, in the order the data meets them:

- ``api_keys``         who may ask what
- ``once``             asked twice under one key, done once
- ``background``       work beside a server, one piece a target
- ``persistence``      what lost its lease to an absent cluster is begun again
- ``standing``         where a target stands
- ``intent_standing``  how good the intent head is that serves
- ``plan``             what a re-embedding would do, said before
- ``reindexing``       planned, run and taken back because an operator wants it
- ``audit``            proof whenever asked, of a slot or of any index
- ``labelling``        a target's weak labels by themselves
- ``mining_report``    what a cycle would learn from now, told before it does
- ``int8_parity``      is an int8 form near enough to what it was made from
- ``quantising``       the live encoder's int8 form: made, judged, then served
"""
