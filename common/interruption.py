"""Ctrl-C, and the SIGTERM of a scheduler, wait until the state of a run is whole."""

import signal
from contextlib import contextmanager


@contextmanager
def noted_interruptions():
    """While it lasts, the first Ctrl-C or SIGTERM is noted instead of raised; a second one is raised at once.

    Yields:
        a list, empty until then: `if interrupted:` between two steps, save and raise `KeyboardInterrupt`.
    """
    interrupted = []

    def interrupt(number, frame):
        if interrupted:
            raise KeyboardInterrupt
        interrupted.append(number)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
