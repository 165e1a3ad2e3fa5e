"""Training: one ``fit`` loop, strict checkpoints, exact resume."""

from jetvae_jax.training.checkpoint import read_meta, restore, save
from jetvae_jax.training.loop import FitResult, fit, loss_terms
from jetvae_jax.training.step import (
    Config,
    Step,
    TrainState,
    configured_step,
    gradient_step,
    model_step,
)

__all__ = [
    "Config",
    "FitResult",
    "Step",
    "TrainState",
    "configured_step",
    "fit",
    "gradient_step",
    "loss_terms",
    "model_step",
    "read_meta",
    "restore",
    "save",
]
