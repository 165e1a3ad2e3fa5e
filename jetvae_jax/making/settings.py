"""Settings of a production of jets: the recipe of each class, and its shards.

The recipe follows JetNet (Kansal et al., arXiv:2106.11535): pp at 13 TeV, partons of
1 TeV, Monash tune, underlying event, anti-kT jets of radius 0.4. The hard processes are
Pythia's own at leading order, where JetNet has MadGraph's, and reproduce its moments.
"""

import pathlib
import re
from typing import Annotated, NamedTuple

from jetvae_jax.core import configs
from jetvae_jax.core.configs import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from jetvae_jax.core.errors import InputError

# The order of the hls4ml labels, where the class of a card is 'undef'.
JET_TYPES = ("g", "q", "w", "z", "t")
NAMES = {"g": "gluon", "q": "light quark", "w": "W", "z": "Z", "t": "top"}
COMMON = (
    "Beams:eCM = 13000.",
    # K0S and Lambda reach the detector.
    "ParticleDecays:limitTau0 = on",
    "ParticleDecays:tau0Max = 10.",
)
# Without this the shower of a pure QCD process starts at too low a scale.
_QCD = ("SpaceShower:pTmaxMatch = 2",)
_HADRONIC = (
    *("24:onMode = off", "24:onIfAny = 1 2 3 4 5"),
    *("23:onMode = off", "23:onIfAny = 1 2 3 4 5"),
)
# JetNet's W and Z come from MadGraph on their mass shell.
_ON_SHELL = ("PhaseSpace:useBreitWigners = off",)
PROCESSES = {
    "g": ("HardQCD:gg2gg = on", "HardQCD:qqbar2gg = on", *_QCD),
    "q": (
        "HardQCD:gg2qqbar = on",
        "HardQCD:qq2qq = on",
        "HardQCD:qqbar2qqbarNew = on",
        "HardQCD:nQuarkNew = 3",
        *_QCD,
    ),
    "t": ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on", *_HADRONIC),
    "w": ("WeakDoubleBoson:ffbar2WW = on", *_ON_SHELL, *_HADRONIC),
    "z": (
        "WeakDoubleBoson:ffbar2gmZgmZ = on",
        "WeakZ0:gmZmode = 2",
        *_ON_SHELL,
        *_HADRONIC,
    ),
}
CROSS_SECTION = "leading order, of the hard process in its pT window, before all cuts"
# Their masses are not drawn but fixed; see ``pythia.Generator.cross_section``.
NARROW = ("w", "z")
# JetNet's window is 1 %; its gluon jets reach 3 TeV, which needs the open end.
WINDOW_END = {"g": -1.0}
MAX_SHARDS, MAX_SEED, MAX_CLASSES = 100_000, 1500, 6
_LAYOUT = re.compile(r"(jetnet|hls4ml)([1-9]\d{0,3})")


class Cuts(NamedTuple):
    """Selection of particles and jets, and their clustering; in GeV.

    Attributes:
        radius: of anti-kT.
        particle_pt_min: of a particle.
        particle_eta_max: largest absolute pseudorapidity of a particle.
        jet_pt_min: of a jet.
        jet_pt_max: of a jet; 0 for no limit.
        min_particles: of a jet.
        num_particles: hardest particles stored of each jet.
        jets_per_event: hardest jets of an event, all of which must pass.
    """

    radius: float
    particle_pt_min: float
    particle_eta_max: float
    jet_pt_min: float
    jet_pt_max: float
    min_particles: int
    num_particles: int
    jets_per_event: int = 1


class Shard(NamedTuple):
    """All that determines the bytes of one shard, besides the versions of the tools.

    Attributes:
        jet_type: class, which names the files.
        index: number of the shard within its class.
        seed: of Pythia, from 1 to 900,000,000; no two shards share one.
        num_jets: jets to keep.
        pythia: settings of Pythia in their order, without the seed.
        cuts: of particles and jets.
    """

    jet_type: str
    index: int
    seed: int
    num_jets: int
    pythia: tuple[str, ...]
    cuts: Cuts


@configs.config
class Config:
    """A production of jets.

    Attributes:
        jet_types: g, q, t, w, z; with a card, any name.
        num_jets: jets of each class.
        shard_jets: jets of a shard, the unit of work, which an interruption can lose.
        jets_per_event: 1, or 2: both hardest, one after the other.
        layouts: files to write of each class: jetnetN or hls4mlN, of N particles.
        card: file of Pythia settings (.cmnd) in place of the hard process of the class.
        settings: further Pythia settings, which override all others but the seed.
        parton_pt_min: lowest pT of the hard process in GeV.
        parton_pt_max: highest; 0 takes the recipe's (1010, none for gluons), -1 none.
        radius: of the anti-kT jets.
        particle_pt_min: softest particle that is clustered, in GeV.
        particle_eta_max: largest absolute pseudorapidity of a particle.
        jet_pt_min: lowest pT of a jet in GeV.
        jet_pt_max: highest; 0 for none.
        min_particles: fewest particles of a jet.
        num_particles: hardest particles stored of each jet in the shards.
        seed: determines the seeds of all shards; another seed gives other jets.
        note: a text for the files' attribute note, such as a licence.
        dask_scheduler: address of a running Dask scheduler; empty starts workers here.
        num_workers: processes to start here; 0 for one per core.
    """

    jet_types: Annotated[tuple[str, ...], configs.not_empty, configs.distinct] = ("g",)
    num_jets: PositiveInt = 20_000
    shard_jets: PositiveInt = 5_000
    jets_per_event: Annotated[int, configs.between(1, 2)] = 1
    layouts: Annotated[tuple[str, ...], configs.distinct] = (
        "jetnet30",
        "jetnet150",
        "hls4ml150",
    )
    card: configs.Path = ""
    settings: tuple[str, ...] = ()
    parton_pt_min: NonNegativeFloat = 990.0
    parton_pt_max: NonNegativeFloat = 0.0
    radius: PositiveFloat = 0.4
    particle_pt_min: NonNegativeFloat = 0.1
    particle_eta_max: PositiveFloat = 5.0
    jet_pt_min: NonNegativeFloat = 0.0
    jet_pt_max: NonNegativeFloat = 0.0
    min_particles: PositiveInt = 5
    num_particles: PositiveInt = 150
    seed: Annotated[int, configs.whole, configs.between(0, MAX_SEED - 1)] = 0
    note: str = ""
    dask_scheduler: str = ""
    num_workers: NonNegativeInt = 0

    def __post_init__(self):
        if self.num_jets > MAX_SHARDS * self.shard_jets:
            raise InputError(
                f"shard_jets: gives more than {MAX_SHARDS} shards for {self.num_jets} "
                f"jets; give larger shards, got {self.shard_jets}"
            )
        for name in ("num_jets", "shard_jets"):
            if getattr(self, name) % self.jets_per_event:
                raise InputError(
                    f"{name}: must be even for jets_per_event = "
                    f"{self.jets_per_event}, got {getattr(self, name)}"
                )
        for name in ("parton_pt", "jet_pt"):
            end, start = f"{name}_max", f"{name}_min"
            if 0 < getattr(self, end) <= getattr(self, start):
                raise InputError(
                    f"{end}: must be above {start} = {getattr(self, start)}, got "
                    f"{getattr(self, end)}"
                )
        self._check_names()

    def _check_names(self):
        for layout in self.layouts:
            found = _LAYOUT.fullmatch(layout)
            if not found or int(found[2]) > self.num_particles:
                raise InputError(
                    "layouts: give jetnetN or hls4mlN with N from 1 to num_particles = "
                    f"{self.num_particles}, got {layout!r}"
                )
        if self.card and len(self.jet_types) != 1:
            raise InputError(
                "jet_types: a card makes one class, give one name, got "
                f"{self.jet_types}"
            )
        for name in self.jet_types:
            if not self.card and name not in JET_TYPES:
                raise InputError(
                    f"jet_types: choose from {', '.join(JET_TYPES)}, or give "
                    f"--make.card for a class of your own, got {name!r}"
                )
            if not re.fullmatch(r"\w+", name):
                raise InputError(
                    f"jet_types: give a name of letters and digits, got {name!r}"
                )


def layout(name: str) -> tuple[str, int]:
    """``jetnet30`` as ``("jetnet", 30)``."""
    found = _LAYOUT.fullmatch(name)
    assert found
    return found[1], int(found[2])


def plan(config: Config, jet_type: str) -> list[Shard]:
    """The shards of one class, in order.

    Raises:
        InputError: the card cannot be read.
    """
    cuts = Cuts(*(getattr(config, name) for name in Cuts._fields))
    pythia = pythia_settings(config, jet_type)
    code = JET_TYPES.index(jet_type) if jet_type in JET_TYPES else len(JET_TYPES)
    first = 1 + (config.seed * MAX_CLASSES + code) * MAX_SHARDS
    sizes = [config.shard_jets] * (config.num_jets // config.shard_jets)
    rest = config.num_jets - sum(sizes)
    sizes += [rest] if rest else []
    return [
        Shard(jet_type, index, first + index, size, pythia, cuts)
        for index, size in enumerate(sizes)
    ]


def pythia_settings(config: Config, jet_type: str) -> tuple[str, ...]:
    """Settings of Pythia in their order; a later one replaces an earlier one.

    Raises:
        InputError: the card cannot be read.
    """
    end = config.parton_pt_max or WINDOW_END.get(jet_type, 1010.0)
    if config.card:
        end = config.parton_pt_max or -1.0
    window = (
        f"PhaseSpace:pTHatMin = {config.parton_pt_min}",
        f"PhaseSpace:pTHatMax = {end}",
    )
    process = read_card(config.card) if config.card else PROCESSES[jet_type]
    return (*COMMON, *window, *process, *config.settings)


def read_card(path: str) -> tuple[str, ...]:
    """The settings in a file of Pythia's format, one per line.

    Lines that begin with neither a letter nor a digit are comments, as for Pythia.

    Raises:
        InputError: it cannot be read or holds no setting.
    """
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"card = {path}: cannot be read ({error})") from None
    found = tuple(line.strip() for line in lines if line.strip()[:1].isalnum())
    if not found:
        raise InputError(f"card = {path}: holds no setting such as 'Top:all = on'")
    return found
