"""How momenta are presented to a network: the settings, and what follows of them."""

from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

from jetvae_jax.data import frame
from jetvae_jax.errors import InputError

FEATURES = {
    "cartesian": ("px", "py", "pz"),
    "cylindrical": ("pt", "eta", "phi"),
    "relative": ("ptrel", "etarel", "phirel"),
    "frame": ("px", "py", "pz"),
}


@dataclass(frozen=True)
class Config:
    """How momenta are presented to the network.

    Attributes:
        coordinates: features of a particle: cartesian (px, py, pz), cylindrical
            (pt, eta, phi), relative (ptrel, etarel, phirel) to the jet's axis, or
            frame (px, py, pz) turned and boosted to the jet's axis, over its pt;
            pt and axis become rows of their own.
        method: minmax maps the training range, padding included, to [0, 1];
            standard gives the existing particles mean 0 and variance 1; slots does
            so for each place in the pt order apart; log does as standard after
            taking the logarithm of pt; quantile makes each feature of the existing
            particles normally distributed; factors divides momenta in GeV
            by 2000 and multiplies relative angles by 100; none changes nothing.
        ghosts: where padding sits: zero puts it at physical zero; away puts it at
            zero pt and twice the largest training |angle| (momenta: twice the
            largest |component|), where no particle is.
        min_pt: a decoded particle exists if its pt is above this many GeV.
        max_angle: a decoded particle exists if it lies within this distance of its
            jet's axis in (eta, phi), as all that a jet algorithm takes up do; 0 is any.
        rotate: principal turns jets about their own axis until their principal axis
            lies along the first transverse feature; needs relative or frame
            coordinates. Generated jets are turned by a random angle.
    """

    coordinates: Literal["cartesian", "cylindrical", "relative", "frame"] = "cartesian"
    method: Literal[
        "minmax", "standard", "slots", "log", "quantile", "factors", "none"
    ] = "minmax"
    ghosts: Literal["zero", "away"] = "zero"
    min_pt: float = 0.25
    max_angle: float = 0.0
    rotate: Literal["none", "principal"] = "none"

    def __post_init__(self):
        for name, kind in get_type_hints(Config).items():
            value, known = getattr(self, name), get_args(kind)
            if known and value not in known:
                raise InputError(f"{name}: {value!r} is not one of {', '.join(known)}")
        if not 0 <= self.min_pt < float("inf"):
            raise InputError(f"min_pt: {self.min_pt} is not a number of GeV, 0 or more")
        if not self.max_angle >= 0:
            raise InputError(f"max_angle: {self.max_angle} is negative; 0 is any angle")
        if self.method == "log" and self.momentum_features:
            raise InputError(
                f"method: 'log' needs pt as a feature, {self.coordinates} coordinates "
                "have none: give coordinates = relative or cylindrical"
            )
        if self.rotate != "none" and self.coordinates not in ("relative", "frame"):
            raise InputError(
                f"rotate: {self.coordinates} coordinates do not know the jet's axis: "
                "give coordinates = frame or relative, or rotate = none"
            )

    @property
    def jet_rows(self) -> int:
        """How many rows of ``x`` describe the jet, before those of the particles."""
        return frame.ROWS if self.coordinates == "frame" else 0

    @property
    def momentum_features(self) -> bool:
        """Whether the features are the components of a momentum."""
        return self.coordinates in ("cartesian", "frame")

    @property
    def log_pt(self) -> bool:
        """Whether the first feature is the logarithm of pt."""
        return self.method in ("log", "quantile") and not self.momentum_features
