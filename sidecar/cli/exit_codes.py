"""What the exit status of a command means."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of every command."""

    #: Done, or there was nothing to do and the last line says why.
    DONE = 0
    #: It failed; one sentence says what is still safe.
    FAILED = 1
    #: Wrong usage, or the configuration is wrong; nothing was started.
    USAGE = 2
    #: A plan, a hold, a lease, a hook or the operator said no; what serves is unchanged.
    REFUSED = 3
    #: A defect in desireline; the traceback is in the file that the last line names.
    DEFECT = 4
    #: Interrupted; the same command goes on where it stopped.
    INTERRUPTED = 130
