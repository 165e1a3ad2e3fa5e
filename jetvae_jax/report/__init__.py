"""The HTML report of a run: tables and figures in one file.

Everything comes in as plain arrays and dicts, so nothing here knows how a model was
trained. matplotlib and jinja2 are imported when a page is written.
"""

from jetvae_jax.report.evaluation import write

__all__ = ["write"]
