"""Settings of a training run and the optimiser they describe."""

from typing import Annotated, Literal

import optax

from jetvae_jax.core import configs
from jetvae_jax.core.configs import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)


@configs.config
class Config:
    """How a network is trained.

    Attributes:
        num_epochs: epochs at most.
        batch_size: jets per step; the remainder of an epoch is left out.
        learning_rate: step size of Adam, at its peak.
        schedule: 'constant', or 'cosine' falling to 1 % over num_epochs.
        warmup_steps: steps of linear rise before the schedule.
        clip_norm: largest norm of the whole gradient; 0 for no clipping.
        weight_decay: decoupled weight decay (AdamW).
        averaging: decay of the running mean of the parameters (EMA), such as 0.999,
            which is then evaluated and kept; 0 keeps the parameters themselves.
        patience: epochs without a better monitored value before stopping.
        monitor: validation term that selects the best epoch and stops early.
        save_seconds: seconds between saves of the resumable state.
    """

    num_epochs: PositiveInt = 300
    batch_size: PositiveInt = 100
    learning_rate: PositiveFloat = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: NonNegativeInt = 0
    clip_norm: NonNegativeFloat = 0.0
    weight_decay: NonNegativeFloat = 0.0
    averaging: Annotated[float, configs.not_negative, configs.below(1)] = 0.0
    patience: PositiveInt = 80
    monitor: str = "loss"
    save_seconds: NonNegativeFloat = 60.0


def total_steps(config: Config, num_jets: int) -> int:
    """Steps of all epochs, at least one."""
    return max(config.num_epochs * (num_jets // config.batch_size), 1)


def optimizer(config: Config, *, num_steps: int) -> optax.GradientTransformation:
    """AdamW with the configured schedule over ``num_steps`` steps in all."""
    peak, warmup = config.learning_rate, min(config.warmup_steps, num_steps - 1)
    if config.schedule == "cosine":
        schedule = optax.cosine_decay_schedule(peak, num_steps - warmup, 0.01)
        if warmup:
            rise = optax.linear_schedule(0.0, peak, warmup)
            schedule = optax.join_schedules([rise, schedule], [warmup])
    elif warmup:
        schedule = optax.linear_schedule(0.0, peak, warmup)
    else:
        schedule = peak
    clip = [optax.clip_by_global_norm(config.clip_norm)] if config.clip_norm else []
    return optax.chain(*clip, optax.adamw(schedule, weight_decay=config.weight_decay))
