"""The HTML report of a run: tables and figures in one file.

Everything comes in as plain arrays and dicts, so nothing here knows how a model was
trained. matplotlib and jinja2 are imported when a page is written.
"""

from jetvae_jax.core import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__, {"write": "evaluation", **lazy.submodules(__name__)}
)
