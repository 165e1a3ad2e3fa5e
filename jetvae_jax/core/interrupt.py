"""Handling of Ctrl-C and SIGTERM: at once where nothing is lost, else after saving."""

import signal
import sys
import threading

AGAIN_SECONDS = 0.05
UNHEARD_SECONDS = 5.0


class Interrupt:
    """Context in which SIGINT and SIGTERM set ``signal_number`` instead of killing.

    With ``raises`` they raise KeyboardInterrupt, too, for work that has nothing to
    save. Where Python drops that, inside a destructor or a callback of the garbage
    collector, the signal comes again a moment later; where a library drops it in
    silence, so that the context has not ended after :data:`UNHEARD_SECONDS`, then.
    Without it, the loop inside ends its step and saves; a second signal acts as it
    would outside of this context.

    Contexts may be nested. Outside the main thread, where Python allows no handlers,
    the context does nothing.

    Args:
        raises: see above.

    Attributes:
        signal_number: of the signal that came, or 0.
    """

    def __init__(self, *, raises: bool = False):
        self.signal_number = 0
        self._raises = raises
        self._previous = {}
        self._again = None

    def _request(self, number, frame):
        del frame
        self.signal_number = number
        if self._raises:
            self._repeat(UNHEARD_SECONDS)
            raise KeyboardInterrupt
        self._restore()

    def _dropped(self, unraisable):
        """Called with exceptions that nobody can catch."""
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            self._hook(unraisable)
            return
        self._repeat(AGAIN_SECONDS)

    def _repeat(self, seconds):
        """The signal comes again unless the context ends before."""
        main, number = threading.main_thread(), self.signal_number or signal.SIGINT
        if self._again:
            self._again.cancel()
        self._again = threading.Timer(
            seconds, lambda: signal.pthread_kill(main.ident or 0, number)
        )
        self._again.daemon = True
        self._again.start()

    def _restore(self):
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def __enter__(self):
        self._hook = sys.unraisablehook
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._request)
            if self._raises:
                sys.unraisablehook = self._dropped
        return self

    def __exit__(self, *exception):
        if self._again:
            self._again.cancel()
        self._restore()
        if self._raises:
            sys.unraisablehook = self._hook
