"""The loss of a VAE, per jet: distance, jet terms, KL divergence, marginals.

The terms of a jet have two published weightings, each a pure function of momenta and a
posterior (:func:`published_objective`, :func:`classic_objective`); :func:`objective`
gives either of them to a training, with further observables of the jet by name. The
terms of latents are also used for images and events.

The Cramér distance of a sample of J numbers from U(0, 1) is (von Mises)::

    int (F(u) - u)^2 du = 1/J sum_i (u_i - (2 r_i - 1) / 2J)^2 + 1 / 12 J^2

with the rank ``r_i`` of ``u_i``. It is half the energy distance
``2E|U-V| - E|U-U'| - E|V-V'|`` of arXiv:1705.10743, without a second sample. A truly
uniform sample of J has ``1 / 6J`` on average, which is the floor of a batch.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jetvae_jax.core import configs, kinematics
from jetvae_jax.core.configs import NonNegativeFloat
from jetvae_jax.core.dtypes import floats, record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.numerics import safe_norm
from jetvae_jax.core.types import (
    Array,
    Batch,
    Context,
    Density,
    Enforced,
    GaussianPosterior,
    Key,
    Objective,
    Params,
    Terms,
)
from jetvae_jax.losses.distances.chamfer import chamfer_distance
from jetvae_jax.losses.observables import Weighted, with_errors
from jetvae_jax.observables import named


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
class Config(Weighted):
    """Weights of the terms, and where the distance is taken.

    Attributes:
        form: 'published' weighs reconstruction and KL by (1 - beta) and beta
            (arXiv:2310.13138); 'classic' adds beta times KL to the reconstruction.
        alpha: weight of the distance between the particles.
        alpha_soft: weight of the same distance between compressed momenta, where
            soft particles count too; 0 leaves it out.
        beta: weight of the KL; published: between 0 and 1.
        gamma: weight of all jet terms.
        gamma_pt: weight of the squared error of the jet's pT.
        gamma_mass: weight of the squared error of the jet's mass; negative: <pT>/<m>
            of the training jets, which the training run fills in.
        observables: further observables of the jet whose squared errors are jet terms:
            mass, pt, energy, width, ptd, e2, e3, c2, d2, tau1 to tau3, tau21, tau32,
            and efp1 to efp5, the connected energy-flow polynomials of so many edges.
            Errors are in units of the observable's deviation among the training jets,
            times the deviation of their pT in GeV. GANs compare their distributions
            instead, by the energy distance in units of the deviation.
        gamma_observables: their weights, one for all or one for each.
        space: take the distance between 'momenta' in GeV, as published, or between
            'scaled' features.
        mask_padding: leave padding out of the true particles; in the publication it
            counts as particles.
    """

    RENAMED: ClassVar = {"mask_ghosts": "mask_padding"}

    form: Literal["published", "classic"] = "published"
    alpha: NonNegativeFloat = 1.0
    alpha_soft: NonNegativeFloat = 0.0
    beta: NonNegativeFloat = 0.9998
    gamma: NonNegativeFloat = 1.0
    gamma_pt: NonNegativeFloat = 1.0
    gamma_mass: float = 10.0
    observables: Annotated[
        tuple[Annotated[str, named.complaint], ...], configs.distinct
    ] = ()
    gamma_observables: tuple[NonNegativeFloat, ...] = (1.0,)
    space: Literal["momenta", "scaled"] = "momenta"
    mask_padding: bool = False

    def __post_init__(self):
        """Raise InputError for a field that cannot be."""
        if self.form == "published" and self.beta > 1:
            raise InputError(
                "beta: the published form weighs by 1 - beta, so give at most 1, or "
                f"form = classic, got {self.beta}"
            )
        super().__post_init__()


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

    Args:
        x: ``[..., N, 3]`` true momenta in GeV.
        x_hat: ``[..., M, 3]`` decoded momenta in GeV.
        posterior: of the latents, ``[..., L]``.
        beta: weight of the KL, of any size.
        alpha: weight of the distance.
        gamma: weight of both jet terms.
        gamma_pt: weight of the squared difference of the jet pt within them.
        gamma_mass: the same of the jet mass.
        x_mask: ``[..., N]``, which true particles exist; None for all.
        reconstruction: the distance, as :func:`chamfer_distance` takes its arguments.

    Returns:
        As :func:`published_objective`.
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
    spreads: Mapping[str, Array] | None = None,
) -> Objective:
    """The objective of a VAE of jets: distance and weights.

    Every decoded point counts as a particle. The true jet's pT and mass are those of
    its existing particles, whether or not padding counts in the distance.

    Args:
        config: weights and conventions.
        reconstruction: ``(x, y, *, x_mask, y_mask) -> [...]``.
        momenta: ``(x [..., N, F], axis [..., 3]) -> [..., N, 3]`` GeV, differentiable.
        spreads: of each of ``config.observables`` and of ``pt``, by
            :func:`~jetvae_jax.losses.observables.observable_spread`; not read without
            observables.

    Returns:
        The objective; its distance has the unweighted terms ``reconstruction``,
        ``jet_pt``, ``jet_mass``, if it has a weight, ``soft``, and for each observable
        ``<name>_error``, see :func:`~jetvae_jax.losses.observables.with_errors`.

    Raises:
        ValueError: ``gamma_mass`` is negative, or a spread is missing.
    """
    if config.gamma_mass < 0:
        raise ValueError("gamma_mass < 0: replace it by losses.mass_weight(...) first")
    spreads = spreads or {}
    needed = {"pt", *config.observables} if config.observables else set()
    if missing := needed - set(spreads):
        raise ValueError(f"spreads: of {', '.join(sorted(missing))} is missing")

    def distance(batch: Batch, x_hat: Array) -> tuple[Array, Terms]:
        x, mask, axis = batch.x, batch.mask, batch.context.axis
        p, p_hat = momenta(x, axis), momenta(x_hat, axis)
        # Rows of x before those of the particles describe the jet itself.
        particles = mask[..., -p.shape[-2] :]
        counted = particles if config.mask_padding else None
        pair, pair_mask = (p, p_hat), counted
        if config.space == "scaled":
            pair, pair_mask = (x, x_hat), mask if config.mask_padding else None
        weights = config.alpha, config.gamma, config.gamma_pt, config.gamma_mass
        total, terms = _distance(
            pair, pair_mask, (p, p_hat), particles, weights, reconstruction
        )
        if config.alpha_soft:
            soft = [compressed_momenta(q, axis) for q in (p, p_hat)]
            terms["soft"] = reconstruction(*soft, x_mask=counted)
            total = total + config.alpha_soft * terms["soft"]
        return total, terms

    def values(x: Array, mask: Array | None, context: Context) -> dict[str, Array]:
        p = momenta(x, context.axis)
        particles = None if mask is None else mask[..., -p.shape[-2] :]
        return {
            name: named.observable(p, particles, name=name) / floats(jnp, spread)[0]
            for name, spread in spreads.items()
            if name in config.observables
        }

    weight = 1 - config.beta if config.form == "published" else 1.0
    if not config.observables:
        return Objective(distance, config.beta, weight)
    weights = config.observable_weights
    enforced = Enforced(values, {n: config.gamma * weights[n] for n in weights})
    whole = with_errors(distance, enforced, scale=float(spreads["pt"][0]) ** 2)
    return Objective(whole, config.beta, weight, enforced=enforced)


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


def reparameterize(key: Key, posterior: GaussianPosterior) -> Array:
    """One draw ``z = mean + exp(logvar / 2) * noise`` of each posterior.

    Gradients reach mean and logvar (arXiv:1312.6114, section 2.4).

    Args:
        key: a random key.
        posterior: mean and logvar ``[..., L]``.

    Returns:
        ``[..., L]``.
    """
    mean, logvar = record(jnp, posterior)
    noise = jax.random.normal(key, mean.shape, mean.dtype)
    return mean + jnp.exp(logvar / 2) * noise


def gaussian_log_prob(posterior: GaussianPosterior, z: Array) -> Array:
    """``log q(z|x)`` of a diagonal Gaussian.

    Args:
        posterior: mean and logvar ``[..., L]``.
        z: ``[..., L]``.

    Returns:
        ``[...]`` in nats.
    """
    mean, logvar, z = floats(jnp, *posterior, z)
    squares = jnp.square((z - mean) * jnp.exp(-logvar / 2))
    return -0.5 * jnp.sum(squares + logvar + jnp.log(2 * jnp.pi), axis=-1)


def gaussian_kl(posterior: GaussianPosterior) -> Array:
    """KL divergence of a diagonal Gaussian from the standard normal.

    ``1/2 sum_l mean_l^2 + exp(logvar_l) - logvar_l - 1`` (arXiv:1312.6114,
    appendix B). ``logvar`` is not clipped here: the network bounds it.

    Args:
        posterior: mean and logvar ``[..., L]``.

    Returns:
        ``[...]`` in nats, summed over L.

    Example:
        >>> posterior = jv.types.GaussianPosterior(jnp.ones(2), jnp.zeros(2))
        >>> print(jv.losses.gaussian_kl(posterior))
        1.0
    """
    mean, logvar = record(jnp, posterior)
    # Near the prior, exp(v) - v - 1 cancels; expm1(v) - v does not.
    nats = 0.5 * (jnp.square(mean) + (jnp.expm1(logvar) - logvar))
    return jnp.sum(nats, axis=-1)


def cramer(u: Array) -> Array:
    """Contribution of each sample to the Cramér distance to U(0, 1).

    It is summed over columns; its mean over J is the distance. The ranks are
    constants for the gradient, which is exact wherever no two numbers are equal.

    Args:
        u: ``[J, L]`` in [0, 1].

    Returns:
        ``[J]``.
    """
    (u,) = floats(jnp, u)
    count = u.shape[0]
    ranks = jnp.argsort(jnp.argsort(u, axis=0), axis=0)
    target = (ranks.astype(u.dtype) + 0.5) / count
    return jnp.sum(jnp.square(u - target) + 1 / (12 * count**2), axis=-1)


def normal_marginals(z: Array) -> Array:
    """:func:`cramer` of ``Phi(z)``: zero when each column of z is standard normal.

    It does not depend on the copula of the columns.

    Args:
        z: ``[J, L]``.

    Returns:
        ``[J]``.
    """
    return cramer(jax.scipy.special.ndtr(*floats(jnp, z)))


class ForwardPass(NamedTuple):
    """Latents and their loss terms.

    Attributes:
        z: ``[J, L]`` drawn from the posterior.
        terms: ``kl`` and, if it has a weight, ``uniform``.
    """

    z: Array
    terms: Terms


def forward(
    params: Params,
    key: Key,
    batch: Batch,
    *,
    encode: Callable[..., GaussianPosterior],
    prior: Density | None = None,
    uniform: bool = False,
) -> ForwardPass:
    """Encode a batch, draw latents and measure how far they are from the prior.

    Args:
        params: of the model, ``"prior"`` among them if there is one.
        key: of the draw.
        batch: of J sets.
        encode: ``(params, batch) -> GaussianPosterior``.
        prior: of the latents; None for the standard normal.
        uniform: measure the marginals' distance from the standard normal, too.
    """
    posterior = encode(params, batch)
    z = reparameterize(key, posterior)
    if prior is None:
        kl = gaussian_kl(posterior)
    else:
        log_p = prior.log_prob(params["prior"], z, batch.context.condition)
        kl = gaussian_log_prob(posterior, z) - log_p
    terms = {"kl": kl}
    if uniform:
        terms["uniform"] = normal_marginals(z)
    return ForwardPass(z, terms)
