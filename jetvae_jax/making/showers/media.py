r"""Materials, and the media that showers are made in.

A medium of one material, or of plates of two that alternate, is described by effective
quantities (G. Grindhammer and S. Peters, hep-ex/0001020, A.2.1): with the shares of
weight ``w_i = rho_i d_i / sum_j rho_j d_j`` of plates of thickness d and density rho,

    Z = sum w_i Z_i,                    1 / X0 = sum w_i / X0_i,
    E_c = X0 sum w_i E_ci / X0_i,       1 / R_M = sum w_i E_ci / X0_i / E_s,
    F_S = X0 / (d_a + d_p),             e = 1 / (1 + 0.007 (Z_p - Z_a)),

where X0 are in g/cm^2 and the critical energy of a material is
``E_c = 2.66 (X0 Z / A)^1.1 MeV``, E_s = 21.2 MeV; ``a`` is the active and ``p`` the
passive material, F_S the sampling frequency, e the ratio of the signals of an electron
and a minimum ionising particle.
"""

from typing import NamedTuple

E_S = 21.2  # MeV


class Material(NamedTuple):
    """A material; of compounds Z and A are means by weight.

    Attributes:
        number: Z.
        mass: A in g/mol.
        radiation_length: X0 in g/cm^2.
        density: in g/cm^3.
        interaction_length: nuclear, in g/cm^2.
        loss: dE/dx of a minimum ionising particle in MeV cm^2/g.
    """

    number: float
    mass: float
    radiation_length: float
    density: float
    interaction_length: float
    loss: float

    @property
    def critical_energy(self) -> float:
        """E_c in MeV."""
        return 2.66 * (self.radiation_length * self.number / self.mass) ** 1.1


MATERIALS = {  # PDG, Atomic and nuclear properties of materials, 2024
    "lead": Material(82, 207.2, 6.37, 11.35, 199.6, 1.122),
    "tungsten": Material(74, 183.84, 6.76, 19.3, 191.9, 1.145),
    "copper": Material(29, 63.546, 12.86, 8.96, 137.3, 1.403),
    "iron": Material(26, 55.845, 13.84, 7.874, 132.1, 1.451),
    "silicon": Material(14, 28.086, 21.82, 2.329, 108.4, 1.664),
    "argon": Material(18, 39.948, 19.55, 1.396, 119.7, 1.519),
    "polystyrene": Material(5.61, 11.16, 43.79, 1.06, 77.1, 1.936),
    "lead_tungstate": Material(68.36, 170.9, 7.39, 8.3, 168.3, 1.229),
    "sodium_iodide": Material(46.56, 110.96, 9.49, 3.667, 154.6, 1.305),
}


class Medium(NamedTuple):
    """What the parametrisation of showers needs to know.

    Attributes:
        number: Z, effective.
        radiation_length: X0 in mm.
        moliere_radius: R_M in mm.
        critical_energy: E_c in GeV.
        frequency: F_S, plates of both kinds in X0; None for one material.
        ratio: e, signal of an electron over that of a minimum ionising particle.
    """

    number: float
    radiation_length: float
    moliere_radius: float
    critical_energy: float
    frequency: float | None = None
    ratio: float = 1.0


class Nuclear(NamedTuple):
    """What hadrons meet in a medium.

    Attributes:
        interaction_length: nuclear, in mm.
        loss: of a minimum ionising particle, in GeV per mm.
    """

    interaction_length: float
    loss: float


def nuclear(plates: list[tuple[Material, float]]) -> Nuclear:
    """Of alternating plates of materials and thicknesses in mm, or of one."""
    thickness = sum(depth for _, depth in plates)
    weights = [(material, 0.1 * material.density * depth) for material, depth in plates]
    inverse = sum(weight / m.interaction_length for m, weight in weights)
    loss = 1e-3 * sum(weight * m.loss for m, weight in weights)
    return Nuclear(thickness / inverse, loss / thickness)


def homogeneous(material: Material) -> Medium:
    """A medium of one material."""
    return _medium([(material, 1.0)])


def sampling(
    passive: Material, active: Material, passive_depth: float, active_depth: float
) -> Medium:
    """Alternating plates.

    Args:
        passive: material in which most of the energy is lost, unseen.
        active: material that gives the signal.
        passive_depth: of a plate in mm.
        active_depth: of a plate in mm.
    """
    medium = _medium([(passive, passive_depth), (active, active_depth)])
    return medium._replace(
        frequency=medium.radiation_length / (passive_depth + active_depth),
        ratio=1 / (1 + 0.007 * (passive.number - active.number)),
    )


def _medium(plates: list[tuple[Material, float]]) -> Medium:
    weight = sum(material.density * depth for material, depth in plates)
    shares = [
        (material, material.density * depth / weight) for material, depth in plates
    ]
    density = weight / sum(depth for _, depth in plates)
    inverse = sum(w / m.radiation_length for m, w in shares)
    loss = sum(w * m.critical_energy / m.radiation_length for m, w in shares)
    cm2_per_g = 10 / density  # g/cm^2 in mm
    return Medium(
        number=sum(w * m.number for m, w in shares),
        radiation_length=cm2_per_g / inverse,
        moliere_radius=cm2_per_g * E_S / loss,
        critical_energy=1e-3 * loss / inverse,
    )
