"""Progress of long work: a bar on a terminal, plain lines in a log."""

import json
import os
import pathlib
import sys
import time

from absl import logging

LINE_SECONDS = 15.0


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


class Progress:
    """Counts processed jets (images, events), with the rate and the time left.

    Args:
        name: of the task, at the start of each line.
        total: number of jets.
        done: jets that an earlier, interrupted run has already processed.
        unit: name of the samples: jets, images, events.
    """

    def __init__(self, name: str, total: int, *, done: int = 0, unit: str = "jets"):
        self.name, self.total, self.done, self.unit = name, total, done, unit
        self.last_line = time.monotonic()
        # Set by the first report, so that compiling does not count.
        self.first, self.start = done, 0.0
        self._bar = None

    def __enter__(self):
        if sys.stderr.isatty():
            from rich import console, progress

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.TextColumn("{task.percentage:>3.0f}% {task.fields[text]}"),
                console=console.Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(
                self.name, total=self.total, completed=self.done, text=""
            )
        return self

    def __exit__(self, *exception):
        if self._bar:
            self._bar.stop()

    def status(self) -> str:
        """Rate and time left, as text."""
        jets, seconds = self.done - self.first, time.monotonic() - self.start
        if not self.start or not jets:
            return "compiled"
        rate = jets / seconds
        left = clock((self.total - self.done) / rate)
        return f"{rate:,.0f} {self.unit}/s, {left} left"

    def advance(self, jets: int, text: str = "") -> None:
        """Count ``jets`` more; ``text`` describes the current work."""
        self.done += jets
        if not self.start:
            self.first, self.start = self.done, time.monotonic()
        line = f"{text}  {self.status()}".strip()
        now = time.monotonic()
        if self._bar:
            self._bar.update(self._task, completed=self.done, text=line)
        elif now - self.last_line > LINE_SECONDS:
            self.last_line = now
            percent = 100 * self.done / max(self.total, 1)
            logging.info("%s: %.0f%%  %s", self.name, percent, line)

    def note(self, text: str) -> None:
        """Print a permanent line above the bar."""
        self.last_line = time.monotonic()
        if self._bar:
            self._bar.console.print(text, highlight=False)
        else:
            logging.info("%s", text)


class StartUp:
    """Times of the parts of a start, one JSON line in the log after the first step.

    Args:
        name: of the training. What was before is said of the first one of a process.
    """

    _first = True

    def __init__(self, name: str):
        self.name = name
        self._parts: dict[str, float] = {}
        self._last = time.monotonic()
        self._logged = False

    def ended(self, part: str) -> None:
        """A part of the start has ended."""
        now = time.monotonic()
        self._parts[part], self._last = round(now - self._last, 3), now

    def first_step(self) -> None:
        """A step has ended; if it is the first one, log the times in seconds."""
        if self._logged:
            return
        self.ended("compile and first step")
        seconds = self._parts
        if StartUp._first and (age := process_age()) is not None:
            before = round(age - sum(self._parts.values()), 2)
            seconds = {"before": before, **self._parts}
        StartUp._first = False
        logging.info("%s: start [s] %s", self.name, json.dumps(seconds))
        self._logged = True


def process_age() -> float | None:
    """Seconds since this process began; None where Linux does not say."""
    try:
        fields = pathlib.Path("/proc/self/stat").read_text().rsplit(")")[1].split()
        up = float(pathlib.Path("/proc/uptime").read_text().split()[0])
        return up - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
