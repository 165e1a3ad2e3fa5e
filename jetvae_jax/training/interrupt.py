"""Handling of Ctrl-C and SIGTERM: training finishes its chunk, saves and stops."""

import signal
import threading


class Interrupt:
    """Context in which SIGINT and SIGTERM set ``signal_number`` instead of killing.

    A second signal acts as usual and stops at once. Outside the main thread, where
    Python allows no handlers, the context does nothing.
    """

    def __init__(self):
        self.signal_number = 0
        self._previous = {}

    def _request(self, number, frame):
        del frame
        self.signal_number = number
        self._restore()

    def _restore(self):
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *exception):
        self._restore()
