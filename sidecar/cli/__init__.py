"""The command line. One file a command; what they share comes first.

- ``exit_codes``   what the exit status of a command means
- ``terminal``     where a command writes: sentences for people or one JSON object
- ``progress``     steps and progress on a terminal, or as plain lines
- ``failures``     errors become one sentence, a next step and an exit code
- ``global_options``  ``--config``, ``--json`` and ``--verbose``, before or after the command
- ``log_output``   where the log goes
- ``session``      the configuration and the sidecar a command works with
- ``app``          all commands, in the order one meets them

The commands: ``demo``, ``init``, ``doctor``, ``logs``, ``tune``, ``reindex``, ``serve``,
``status``, ``generations``, ``rollback``, ``search``, ``simulate``, ``keys``.
"""
