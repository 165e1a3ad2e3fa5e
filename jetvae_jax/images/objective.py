"""The objective of a VAE of pixel sets: reconstruction and KL, per image.

Reconstruction is one of the losses of the ConVAE study of sparse MNIST, between scaled
points: ``losses/reconstruction/pixel_*.py``.
"""

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

from jetvae_jax.core import configs
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Batch, Objective, Terms

Form = Literal["published", "classic"]


@configs.config
class Config:
    """Weights of the terms.

    Attributes:
        form: 'published' weighs reconstruction and KL by (1 - beta) and beta
            (arXiv:2310.13138); 'classic' adds beta times KL to the reconstruction.
        alpha: weight of the reconstruction, a sum over the pixels of both sets.
        beta: weight of the KL; published: between 0 and 1.
        mask_padding: leave padding out of the true pixels; else the decoder learns to
            put black pixels where padding sits, as published.
    """

    RENAMED: ClassVar = {"mask_ghosts": "mask_padding"}

    form: Form = "classic"
    alpha: Annotated[float, configs.not_negative, configs.finite] = 1.0
    beta: Annotated[float, configs.not_negative, configs.finite] = 0.05
    mask_padding: bool = True

    def __post_init__(self):
        """Raise InputError for a field that cannot be."""
        if self.form == "published" and self.beta > 1:
            raise InputError(
                "beta: the published form weighs by 1 - beta, so give at most 1, or "
                f"form = classic, got {self.beta}"
            )


def objective(config: Config, reconstruction: Callable[..., Array]) -> Objective:
    """What a VAE of pixel sets minimises.

    Args:
        config: weights and conventions.
        reconstruction: ``(x, y, *, x_mask, y_mask) -> [...]`` between scaled points.

    Returns:
        The objective; the unweighted term of its distance is ``reconstruction``.
    """

    def distance(batch: Batch, x_hat: Array) -> tuple[Array, Terms]:
        mask = batch.mask if config.mask_padding else None
        error = reconstruction(batch.x, x_hat, x_mask=mask)
        return config.alpha * error, {"reconstruction": error}

    weight = 1 - config.beta if config.form == "published" else 1.0
    return Objective(distance, config.beta, weight)
