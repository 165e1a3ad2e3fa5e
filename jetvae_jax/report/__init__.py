"""The page a run leaves behind: tables and figures in one HTML file.

Everything comes in as plain arrays and dicts, so nothing here knows how a model was
trained. matplotlib is imported when a figure is drawn, not with the package.
"""

from jetvae_jax.report.evaluation import write

__all__ = ["write"]
