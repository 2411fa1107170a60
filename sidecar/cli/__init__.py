"""The command line. One file a command; what they share comes first.

- ``exit_codes``      what the exit status of a command means
- ``printable``       what others wrote gives a terminal no orders
- ``progress``        steps and progress on a terminal, or as plain lines
- ``terminal``        where a command writes: sentences for people or one JSON object
- ``log_output``      where the log goes
- ``failures``        errors become one sentence, a next step and an exit code
- ``global_options``  ``--config``, ``--json`` and ``--verbose``, before or after the command
- ``session``         the configuration and the sidecar a command works with
- ``arguments``       arguments that several commands share
- ``ending``          how a cycle's report becomes the end of a command
- ``parts``           the gate's measure by part, each with its interval drawn
- ``changes``         queries that gained and lost most, old and new answers side by side
- ``ladder``          the modes of tuning as a table and a plot
- ``log_health``      a click log's health in a terminal, as wide as it is
- ``watch``           a run as it goes: a bar, plain lines or JSON lines
- ``waiting``         for the end of a process that serves
- ``demo``, ``init``, ``doctor``, ``logs``, ``mine``, ``synthesize``, ``fit``, ``tune``,
  ``quantise``, ``reindex``, ``serve``, ``status``, ``generations``, ``revert``, ``verify``,
  ``search``, ``intent``, ``simulate``, ``erase``, ``keys``, ``judgments``, ``models``   the
  commands
- ``steering``        ``pause``, ``resume``, ``throttle``, ``postpone``, ``cut-over``, ``cancel``
- ``app``             all commands, in the order one meets them
"""
