"""The loss of a VAE of jets: distance, errors of jet pT and mass, and KL, per jet.

The same terms have two published weightings, each a pure function of momenta and a
posterior; :func:`objective` gives either of them to a training.
"""

from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp

from jetvae_jax.core import configs, kinematics
from jetvae_jax.core.configs import NonNegativeFloat
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.numerics import safe_norm
from jetvae_jax.core.types import Array, Batch, GaussianPosterior, Objective, Terms
from jetvae_jax.losses.distances.chamfer import chamfer_distance
from jetvae_jax.losses.latent_terms import gaussian_kl


def jet_pt_error(
    x: Array, y: Array, *, x_mask: Array | None = None, y_mask: Array | None = None
) -> Array:
    """Squared difference of the two jets' transverse momenta, in GeV^2.

    Args:
        x: ``[..., N, 3]`` (px, py, pz) in GeV.
        y: ``[..., M, 3]`` in GeV.
        x_mask: ``[..., N]`` bool, True where a particle exists; None: all do.
        y_mask: ``[..., M]`` bool, or None.

    Returns:
        ``[...]``.
    """
    return jnp.square(kinematics.jet_pt(x, x_mask) - kinematics.jet_pt(y, y_mask))


def jet_mass_error(
    x: Array, y: Array, *, x_mask: Array | None = None, y_mask: Array | None = None
) -> Array:
    """Squared difference of the two jets' invariant masses, in GeV^2.

    Particles are massless; see :func:`jetvae_jax.core.kinematics.jet_mass`.

    Args:
        x: ``[..., N, 3]`` (px, py, pz) in GeV.
        y: ``[..., M, 3]`` in GeV.
        x_mask: ``[..., N]`` bool, True where a particle exists; None: all do.
        y_mask: ``[..., M]`` bool, or None.

    Returns:
        ``[...]``; zero gradient with respect to a jet of no or of one particle.
    """
    return jnp.square(kinematics.jet_mass(x, x_mask) - kinematics.jet_mass(y, y_mask))


def mass_weight(p: Array, mask: Array | None = None) -> Array:
    """``<pT> / <m>`` of a sample of jets: ConVAE's weight of the mass error.

    It scales the mass error to the size of the pT error. About 10 for gluon jets.

    Args:
        p: ``[J, N, 3]`` (px, py, pz) in GeV of the training jets.
        mask: ``[J, N]`` bool, or None.

    Returns:
        A scalar without unit.
    """
    pt = jnp.mean(kinematics.jet_pt(p, mask))
    return pt / jnp.mean(kinematics.jet_mass(p, mask))


Reconstruction = Callable[..., Array]


@configs.config
class Config:
    """Weights of the terms, and where the distance is taken.

    Attributes:
        form: 'published' weighs reconstruction and KL by (1 - beta) and beta
            (arXiv:2310.13138); 'classic' adds beta times KL to the reconstruction.
        alpha: weight of the distance between the particles.
        alpha_soft: weight of the same distance between compressed momenta, where
            soft particles count too; 0 leaves it out.
        beta: weight of the KL; published: between 0 and 1.
        gamma: weight of both jet terms.
        gamma_pt: weight of the squared error of the jet's pT.
        gamma_mass: weight of the squared error of the jet's mass; negative: <pT>/<m>
            of the training jets, which the training run fills in.
        space: take the distance between 'momenta' in GeV, as published, or between
            'scaled' features.
        mask_ghosts: leave padding out of the true particles; in the publication it
            counts as particles.
    """

    form: Literal["published", "classic"] = "published"
    alpha: NonNegativeFloat = 1.0
    alpha_soft: NonNegativeFloat = 0.0
    beta: NonNegativeFloat = 0.9998
    gamma: NonNegativeFloat = 1.0
    gamma_pt: NonNegativeFloat = 1.0
    gamma_mass: float = 10.0
    space: Literal["momenta", "scaled"] = "momenta"
    mask_ghosts: bool = False

    def __post_init__(self):
        """Raise InputError for a field that cannot be."""
        if self.form == "published" and self.beta > 1:
            raise InputError(
                "beta: the published form weighs by 1 - beta, so give at most 1, or "
                f"form = classic, got {self.beta}"
            )


def published_objective(
    x: Array,
    x_hat: Array,
    posterior: GaussianPosterior,
    *,
    beta: float,
    alpha: float = 1.0,
    gamma: float = 1.0,
    gamma_pt: float = 1.0,
    gamma_mass: float = 10.0,
    x_mask: Array | None = None,
    reconstruction: Reconstruction = chamfer_distance,
) -> tuple[Array, Terms]:
    """ConVAE's objective (arXiv:2109.15197, 2310.13138), of momenta in GeV.

        (1 - beta) [alpha NND + gamma (gamma_pt dpT^2 + gamma_mass dm^2)] + beta KL

    NND sums squared distances over both sets. The jet terms are squared errors of
    each jet. Divided by 1 - beta it is :func:`classic_objective` with
    ``beta / (1 - beta)``: 0.9998 is a KL weight of 4999.

    Args:
        x: ``[..., N, 3]`` true (px, py, pz) in GeV.
        x_hat: ``[..., M, 3]`` decoded (px, py, pz) in GeV.
        posterior: mean and logvar ``[..., L]``.
        beta: weight of the KL, 0 to 1.
        alpha: weight of the distance.
        gamma: weight of both jet terms.
        gamma_pt: weight of the jet pT's error.
        gamma_mass: weight of the jet mass's error.
        x_mask: ``[..., N]`` bool, True where a true particle exists. None: all do,
            and padding is particles at zero momentum, as published.
        reconstruction: ``(x, y, *, x_mask, y_mask) -> [...]`` in place of the NND.

    Returns:
        The loss ``[...]``, and the unweighted terms ``reconstruction``, ``jet_pt``,
        ``jet_mass`` (GeV^2) and ``kl`` (nats), each ``[...]``.
    """
    weights = alpha, gamma, gamma_pt, gamma_mass
    distance, terms = _distance(
        (x, x_hat), x_mask, (x, x_hat), x_mask, weights, reconstruction
    )
    terms["kl"] = gaussian_kl(posterior)
    return (1 - beta) * distance + beta * terms["kl"], terms


def classic_objective(
    x: Array,
    x_hat: Array,
    posterior: GaussianPosterior,
    *,
    beta: float,
    alpha: float = 1.0,
    gamma: float = 0.0,
    gamma_pt: float = 1.0,
    gamma_mass: float = 1.0,
    x_mask: Array | None = None,
    reconstruction: Reconstruction = chamfer_distance,
) -> tuple[Array, Terms]:
    """The beta-VAE's objective, of momenta in GeV, with or without jet terms.

        alpha NND + gamma (gamma_pt dpT^2 + gamma_mass dm^2) + beta KL

    Arguments and results as in :func:`published_objective`; beta is not bounded.
    """
    weights = alpha, gamma, gamma_pt, gamma_mass
    distance, terms = _distance(
        (x, x_hat), x_mask, (x, x_hat), x_mask, weights, reconstruction
    )
    terms["kl"] = gaussian_kl(posterior)
    return distance + beta * terms["kl"], terms


def compressed_momenta(p: Array, axis: Array) -> Array:
    """Momenta of length about ``sqrt(|p|)`` in a jet's frame.

    Squared distances in GeV are dominated by the hardest particles and hardly depend on
    one of 2 GeV. After division by ``sqrt(|p| + 1 GeV)``, in a frame that is invariant
    under boosts along the beam, all particles contribute.

    Args:
        p: ``[..., N, 3]`` (px, py, pz) in GeV.
        axis: ``[..., 3]`` (pt, eta, phi) of the jet that sets the frame.

    Returns:
        ``[..., N, 3]`` in sqrt(GeV).
    """
    q = kinematics.to_frame(p, axis)
    return q / jnp.sqrt(safe_norm(q) + 1.0)[..., None]


def objective(
    config: Config,
    reconstruction: Reconstruction,
    momenta: Callable[[Array, Array], Array],
) -> Objective:
    """The objective of a VAE of jets: distance and weights.

    Every decoded point counts as a particle. The true jet's pT and mass are those of
    its existing particles, whether or not padding counts in the distance.

    Args:
        config: weights and conventions.
        reconstruction: ``(x, y, *, x_mask, y_mask) -> [...]``.
        momenta: ``(x [..., N, F], axis [..., 3]) -> [..., N, 3]`` GeV, differentiable.

    Returns:
        The objective; its distance has the unweighted terms ``reconstruction``,
        ``jet_pt``, ``jet_mass`` and, if it has a weight, ``soft``.

    Raises:
        ValueError: ``gamma_mass`` is negative.
    """
    if config.gamma_mass < 0:
        raise ValueError("gamma_mass < 0: replace it by losses.mass_weight(...) first")

    def distance(batch: Batch, x_hat: Array) -> tuple[Array, Terms]:
        x, mask, axis = batch.x, batch.mask, batch.context.axis
        p, p_hat = momenta(x, axis), momenta(x_hat, axis)
        # Rows of x before those of the particles describe the jet itself.
        particles = mask[..., -p.shape[-2] :]
        counted = particles if config.mask_ghosts else None
        pair, pair_mask = (p, p_hat), counted
        if config.space == "scaled":
            pair, pair_mask = (x, x_hat), mask if config.mask_ghosts else None
        weights = config.alpha, config.gamma, config.gamma_pt, config.gamma_mass
        total, terms = _distance(
            pair, pair_mask, (p, p_hat), particles, weights, reconstruction
        )
        if config.alpha_soft:
            soft = [compressed_momenta(q, axis) for q in (p, p_hat)]
            terms["soft"] = reconstruction(*soft, x_mask=counted)
            total = total + config.alpha_soft * terms["soft"]
        return total, terms

    weight = 1 - config.beta if config.form == "published" else 1.0
    return Objective(distance, config.beta, weight)


def _distance(
    pair: tuple[Array, Array],
    pair_mask: Array | None,
    momenta: tuple[Array, Array],
    particles: Array | None,
    weights: tuple[float, float, float, float],
    reconstruction: Reconstruction,
) -> tuple[Array, Terms]:
    """Distance and jet terms, which both forms of the objective have.

    Args:
        pair: true and decoded points that ``reconstruction`` compares.
        pair_mask: which of the true ones count there.
        momenta: true and decoded, ``[..., N, 3]`` in GeV.
        particles: ``[..., N]``, which true particles exist.
        weights: alpha, gamma, gamma_pt, gamma_mass.
        reconstruction: ``(x, y, *, x_mask, y_mask) -> [...]``.

    Returns:
        The weighted sum ``[...]``, and its terms.
    """
    alpha, gamma, gamma_pt, gamma_mass = weights
    terms = {
        "reconstruction": reconstruction(*pair, x_mask=pair_mask),
        "jet_pt": jet_pt_error(*momenta, x_mask=particles),
        "jet_mass": jet_mass_error(*momenta, x_mask=particles),
    }
    jet = gamma_pt * terms["jet_pt"] + gamma_mass * terms["jet_mass"]
    return alpha * terms["reconstruction"] + gamma * jet, terms
