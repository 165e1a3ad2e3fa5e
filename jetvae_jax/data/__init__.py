"""Jets from and to files: readers, writers, splits and streams, in GeV and radians."""
# ruff: noqa: F401 - the imports of types are for type checkers

from typing import TYPE_CHECKING

from jetvae_jax.core.lazy import attach

if TYPE_CHECKING:
    from jetvae_jax.data.loading import Loaded, load
    from jetvae_jax.data.splits import Split, split
    from jetvae_jax.data.streaming import Stream, Streams, streams
    from jetvae_jax.data.writing import JetNetWriter, JetWriter, writer

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "JetNetWriter": "writing",
        "JetWriter": "writing",
        "Loaded": "loading",
        "Split": "splits",
        "Stream": "streaming",
        "Streams": "streaming",
        "containers": "",
        "download": "",
        "embedded": "",
        "formats": "",
        "inspection": "",
        "load": "loading",
        "split": "splits",
        "streaming": "",
        "streams": "streaming",
        "validation": "",
        "writer": "writing",
        "writing": "",
    },
)
