"""Training data changed anew at every step, inside the compiled epoch."""

from collections.abc import Callable
from typing import Any

import jax

from jetvae_jax.core.types import Key
from jetvae_jax.training.step import Step


def augmented(step: Step, augment: Callable[[Key, Any], Any]) -> Step:
    """A step whose updates see ``augment(key, rows)`` instead of the rows of data.

    The rows need not be what the step takes: they may be jets in GeV that ``augment``
    turns and then scales. Evaluation is left alone, so validation data are what the
    step takes.

    Args:
        step: the training algorithm.
        augment: pure ``(key, rows) -> batch``, both with leading axis J; its key is
            independent of the one the step's own noise comes from.

    Returns:
        A Step. Same key, same batch: resuming stays exact.
    """

    def update(state, key, rows):
        augment_key, key = jax.random.split(key)
        return step.update(state, key, augment(augment_key, rows))

    return step._replace(update=update)
