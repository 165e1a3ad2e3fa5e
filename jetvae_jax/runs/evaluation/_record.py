"""What an evaluation writes and says before it draws."""

from typing import Any

from absl import logging

from jetvae_jax.runs.workdir import Workdir


def record(folder: Workdir, result: dict[str, Any], table: str) -> None:
    """``evaluation.json`` and ``evaluation.txt``; the latter to the log, too.

    Args:
        folder: where to write.
        result: all figures; ``notes`` are what was found in the files and chosen.
        table: the figures as lines.
    """
    folder.write_json("evaluation.json", result)
    notes = "".join(f"note: {note}\n" for note in result["notes"])
    text = f"{table}\n{notes}" if notes else table
    folder.write_text("evaluation.txt", text)
    for line in text.splitlines():
        logging.info("%s", line)
