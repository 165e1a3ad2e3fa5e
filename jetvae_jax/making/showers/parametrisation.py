r"""The shape of electromagnetic showers: G. Grindhammer and S. Peters, hep-ex/0001020.

Lengths along the axis (t) are in radiation lengths, from the start of the shower, those
across (r) in Moliere radii, energies in GeV; ``ln y = ln(E / E_c)``. The energy is
distributed as ``dE = E f(t) dt f(r) dr dphi / 2 pi`` (1). Numbers of equations and
sections are the paper's: A.1 is for one material, A.2 for plates of two.
"""

from typing import NamedTuple

import numpy as np

from jetvae_jax.making.showers.media import Medium

_MAX_SIGMA = 0.5  # at low energies, where the formulas for sigma diverge
_LEAST_T, _LEAST_ALPHA, _LEAST_RADIUS = 0.5, 1.1, 1e-3


class Fluctuation(NamedTuple):
    """ln T and ln alpha of showers of given energies: a normal distribution.

    Attributes:
        mean: ``[..., 2]``.
        sigma: ``[..., 2]``.
        correlation: ``[...]``.
    """

    mean: np.ndarray
    sigma: np.ndarray
    correlation: np.ndarray


class Profile(NamedTuple):
    r"""Longitudinal profiles of single showers.

    ``f(t) = (beta t)^(alpha - 1) beta exp(-beta t) / Gamma(alpha)`` (2) with the mean
    depth ``<t> = alpha / beta`` (3) and ``beta = (alpha - 1) / T`` (4).

    Attributes:
        maximum: ``[...]`` T, depth of the maximum.
        alpha: ``[...]``.
    """

    maximum: np.ndarray
    alpha: np.ndarray

    @property
    def beta(self) -> np.ndarray:
        """``[...]`` in 1/X0."""
        return (self.alpha - 1) / self.maximum

    @property
    def centre(self) -> np.ndarray:
        """``[...]`` mean depth, alpha / beta."""
        return self.alpha / self.beta

    def within(self, depth: np.ndarray) -> np.ndarray:
        """Share of the energy up to a depth: the integral of f from 0."""
        from scipy.special import gammainc

        return gammainc(self.alpha, self.beta * np.maximum(depth, 0))


def fluctuation(medium: Medium, energy: np.ndarray) -> Fluctuation:
    r"""How T and alpha vary from shower to shower.

    In one material (7 to 10, A.1.2),

        <ln T> = ln(ln y - 0.812),        sigma = 1 / (-1.4 + 1.26 ln y),
        <ln alpha> = ln(0.81 + (0.458 + 2.26 / Z) ln y),
        sigma = 1 / (-0.58 + 0.86 ln y),  rho = 0.705 - 0.023 ln y,

    and in plates (A.2.3), with T_hom and alpha_hom the exponentials of these,

        <ln T> = ln(T_hom - 0.55 / F_S - 0.69 (1 - e)),
        sigma = 1 / (-2.5 + 1.25 ln y),
        <ln alpha> = ln(alpha_hom - 0.476 / F_S),
        sigma = 1 / (-0.82 + 0.79 ln y),  rho = 0.784 - 0.023 ln y.

    Args:
        medium: of the calorimeter.
        energy: ``[...]`` GeV.
    """
    log_y = np.log(np.asarray(energy, np.float64) / medium.critical_energy)
    maximum = log_y - 0.812
    alpha = 0.81 + (0.458 + 2.26 / medium.number) * log_y
    widths, rho = ((-1.4, 1.26), (-0.58, 0.86)), 0.705
    if medium.frequency is not None:
        maximum = maximum - 0.55 / medium.frequency - 0.69 * (1 - medium.ratio)
        alpha = alpha - 0.476 / medium.frequency
        widths, rho = ((-2.5, 1.25), (-0.82, 0.79)), 0.784
    mean = np.log(
        np.stack([np.maximum(maximum, _LEAST_T), np.maximum(alpha, _LEAST_ALPHA)], -1)
    )
    inverse = np.stack([a + b * log_y for a, b in widths], axis=-1)
    sigma = 1 / np.maximum(inverse, 1 / _MAX_SIGMA)
    return Fluctuation(mean, sigma, rho - 0.023 * log_y)


def draw(rng: np.random.Generator, given: Fluctuation) -> Profile:
    r"""Profiles of single showers.

    With two standard normal numbers z and ``c_+- = sqrt((1 +- rho) / 2)`` (11),

        ln T     = <ln T>     + sigma_T     (c_+ z_1 + c_- z_2),
        ln alpha = <ln alpha> + sigma_alpha (c_+ z_1 - c_- z_2).
    """
    z = rng.standard_normal(given.mean.shape)
    both = np.sqrt((1 + given.correlation) / 2) * z[..., 0]
    one = np.sqrt((1 - given.correlation) / 2) * z[..., 1]
    logs = given.mean + given.sigma * np.stack([both + one, both - one], axis=-1)
    found = np.exp(logs)
    return Profile(found[..., 0], np.maximum(found[..., 1], _LEAST_ALPHA))


class Radial(NamedTuple):
    r"""Radial profiles at given depths, all ``[...]``.

    ``f(r) = p 2 r R_C^2 / (r^2 + R_C^2)^2 + (1 - p) 2 r R_T^2 / (r^2 + R_T^2)^2``
    (23), whose parts have the integral ``r^2 / (r^2 + R^2)``.

    Attributes:
        core: R_C in R_M.
        tail: R_T in R_M.
        weight: p.
    """

    core: np.ndarray
    tail: np.ndarray
    weight: np.ndarray


def radial(medium: Medium, energy: np.ndarray, tau: np.ndarray) -> Radial:
    r"""Radial profiles at depths ``tau``, in units of the shower's maximum.

    In one material (24 to 26, A.1.3),

        R_C = 0.0251 + 0.00319 ln E + (0.1162 - 0.000381 Z) tau,
        R_T = (0.659 - 0.00309 Z) (exp(-2.59 (tau - 0.645))
              + exp((0.3585 + 0.0421 ln E) (tau - 0.645))),
        p = (2.632 - 0.00094 Z) exp(q - exp(q)),
        q = (0.401 + 0.00187 Z - tau) / (1.313 - 0.0686 ln E),

    and in plates (A.2.4) these and

        R_C: - 0.0203 (1 - e) + 0.0397 exp(-tau) / F_S,
        R_T: - 0.14 (1 - e) - 0.495 exp(-tau) / F_S,
        p: (1 - e) (0.348 - 0.642 exp(-(tau - 1)^2) / F_S).

    Args:
        medium: of the calorimeter.
        energy: ``[...]`` GeV.
        tau: ``[...]``.
    """
    number, log_e = medium.number, np.log(energy)
    core = 0.0251 + 0.00319 * log_e + (0.1162 - 0.000381 * number) * tau
    far = tau - 0.645
    tail = np.exp(-2.59 * far) + np.exp((0.3585 + 0.0421 * log_e) * far)
    tail = (0.659 - 0.00309 * number) * tail
    q = (0.401 + 0.00187 * number - tau) / (1.313 - 0.0686 * log_e)
    weight = (2.632 - 0.00094 * number) * np.exp(q - np.exp(q))
    if medium.frequency is not None:
        lost, near = 1 - medium.ratio, np.exp(-tau) / medium.frequency
        core = core - 0.0203 * lost + 0.0397 * near
        tail = tail - 0.14 * lost - 0.495 * near
        ridge = np.exp(-np.square(tau - 1)) / medium.frequency
        weight = weight + lost * (0.348 - 0.642 * ridge)
    core, tail = np.maximum(core, _LEAST_RADIUS), np.maximum(tail, _LEAST_RADIUS)
    return Radial(core, tail, np.clip(weight, 0, 1))


def relative_depth(
    profile: Profile, mean_alpha: np.ndarray, depth: np.ndarray
) -> np.ndarray:
    r"""Tau of single showers at depths t in X0.

    ``tau = t / <t> * alpha / (alpha - 1)`` (34), with <t> of the shower and
    ``alpha = exp <ln alpha>``: showers are alike where they are at the same share of
    their own depth.
    """
    return depth / profile.centre * mean_alpha / (mean_alpha - 1)


def spots(
    medium: Medium, energy: np.ndarray, profile: Profile, stochastic: float
) -> tuple[np.ndarray, Profile]:
    r"""Number of the energy spots of a shower, and their distribution along it.

    In one material ``N = 93 ln Z E^0.876`` (31, A.1.4), in plates
    ``N = 10.3 / c E^0.959`` (A.2.5) with the sampling fluctuation c. Along the shower
    they are distributed as f(t) with other T and alpha (32, 33):

        T (0.698 + 0.00212 Z),  alpha (0.639 + 0.00334 Z)  in one material,
        T (0.813 + 0.0019 Z),   alpha (0.844 + 0.0026 Z)   in plates.

    Args:
        medium: of the calorimeter.
        energy: ``[...]`` GeV.
        profile: ``[...]`` of the energy.
        stochastic: c, sigma(E) / E times the square root of E in GeV.
    """
    number = medium.number
    if medium.frequency is None:
        count = 93 * np.log(number) * energy**0.876
        along = 0.698 + 0.00212 * number, 0.639 + 0.00334 * number
    else:
        count = 10.3 / stochastic * energy**0.959
        along = 0.813 + 0.0019 * number, 0.844 + 0.0026 * number
    alpha = np.maximum(profile.alpha * along[1], _LEAST_ALPHA)
    return count, Profile(profile.maximum * along[0], alpha)
