"""Waiting for the end of a process that serves."""

import signal
import threading


def until_signal() -> threading.Event:
    """Return an event that the first Ctrl-C or SIGTERM sets; the second one ends at once.

    Until it is called, Ctrl-C interrupts what is going on; so call it where waiting begins.
    """
    stop = threading.Event()

    def end(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, signal.default_int_handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return stop
