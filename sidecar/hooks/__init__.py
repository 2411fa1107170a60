"""The operator's programs and webhooks at the named points of a run.

Files, in the order the data meets them:

- ``output``   what of a hook's output is shown
- ``program``  one program, bounded in time and output
- ``webhook``  one call of a webhook that cannot be turned against us
- ``points``   the operator's programs at the named points of a run
"""
