"""What is told of work, cycles and logs: to people, to programs, to the log.

Files, in the order the data meets them:

- ``reporting``       how long work tells where it is: a terminal, a log, a program
- ``telemetry``       log lines with fixed sentences, and metrics
- ``cost_scale``      seconds to the right of a plot, by tens
- ``judged_parts``    parts of the queries in the groups people read, and a scale for gains
- ``answer_changes``  what a candidate answers differently, kept until the next cycle
- ``cycle_progress``  how far the piece is that a cycle is at
- ``cycle_report``    what one cycle did and why
- ``log_reports``     the last health report of each click log, kept
- ``log_words``       a click log's health in words, the same at every door
"""
