"""Settings of a production of Z gamma background and signals, and its shards."""

from typing import Annotated, Any, cast

from jetvae_jax.core import configs
from jetvae_jax.core.configs import NonNegativeFloat, NonNegativeInt, PositiveInt
from jetvae_jax.core.errors import InputError
from jetvae_jax.making.settings import COMMON, Shard
from jetvae_jax.making.zgamma.selection import Cuts

BACKGROUND = "background"
FORMATS = ("hdf5", "parquet")
MAX_SHARDS, MAX_SEED = 1_000, 299
MASS_MIN, MASS_MAX = 100.0, 3000.0
CROSS_SECTION = "leading order, of the hard process, before the selection"
# The branching ratio follows from Pythia's partial widths and the width that is set.
NOT_NORMALISED = "no prediction of a model: the width is set by hand"
_Mass = Annotated[float, configs.between(MASS_MIN, MASS_MAX, "GeV")]
_PositiveFinite = Annotated[float, configs.positive, configs.finite]
_LEPTONIC = ("23:onMode = off", "23:onIfAny = 11 13")


@configs.config
class Config:
    """A production of Z gamma events.

    Attributes:
        num_background: selected background events, q qbar to Z gamma; 0 for none.
        num_signal: selected events of each signal, H to Z gamma.
        masses: of the signals in GeV.
        width: of the signals in GeV.
        shard_events: events of a shard, the unit of work, which an interruption can
            lose.
        formats: of the files: hdf5, parquet.
        mantissa_bits: bits kept of each number, 23 for all; fewer compress better, 13
            leave four digits.
        settings: further Pythia settings, which override all others but the seed.
        parton_pt_min: lowest pT of the background's hard process in GeV.
        lepton_pt_min: lowest pT of both leptons in GeV.
        lead_pt_min: lowest pT of the harder lepton in GeV.
        photon_pt_min: lowest pT of the photon in GeV.
        z_window: largest difference of mll and the mass of the Z in GeV.
        jet_pt_min: lowest pT of the jets that are counted, in GeV.
        jet_eta_max: their largest absolute pseudorapidity.
        seed: determines the seeds of all shards; another seed gives other events.
        dask_scheduler: address of a running Dask scheduler; empty starts workers here.
        num_workers: processes to start here; 0 for one per core.
    """

    num_background: NonNegativeInt = 20_000
    num_signal: NonNegativeInt = 2_000
    masses: tuple[_Mass, ...] = (200.0,)
    width: _PositiveFinite = 0.004
    shard_events: PositiveInt = 1_000
    formats: Annotated[
        tuple[Annotated[str, configs.one_of(FORMATS)], ...],
        configs.not_empty,
        configs.distinct,
    ] = FORMATS
    mantissa_bits: Annotated[int, configs.between(4, 23)] = 23
    settings: tuple[str, ...] = ()
    parton_pt_min: NonNegativeFloat = 15.0
    lepton_pt_min: _PositiveFinite = 10.0
    lead_pt_min: _PositiveFinite = 25.0
    photon_pt_min: _PositiveFinite = 15.0
    z_window: _PositiveFinite = 15.0
    jet_pt_min: _PositiveFinite = 30.0
    jet_eta_max: _PositiveFinite = 4.4
    seed: Annotated[int, configs.whole, configs.between(0, MAX_SEED - 1)] = 0
    dask_scheduler: str = ""
    num_workers: NonNegativeInt = 0

    def __post_init__(self):
        largest = max(self.num_background, self.num_signal)
        if largest > MAX_SHARDS * self.shard_events:
            raise InputError(
                f"shard_events: gives more than {MAX_SHARDS} shards for {largest} "
                f"events; give larger shards, got {self.shard_events}"
            )
        if self.lead_pt_min < self.lepton_pt_min:
            raise InputError(
                f"lead_pt_min: must not be below lepton_pt_min = {self.lepton_pt_min}, "
                f"got {self.lead_pt_min}"
            )
        self._check_lists()

    def _check_lists(self):
        for mass in self.masses:
            if self.width > mass / 4:
                raise InputError(
                    f"width: too wide for a resonance of {mass:g} GeV; give at most a "
                    f"quarter of the mass, got {self.width:g}"
                )
        if len({round(mass) for mass in self.masses}) < len(self.masses):
            raise InputError(
                "masses: two differ by less than 1 GeV; make them separately, "
                "with other seeds"
            )
        if not self.processes:
            raise InputError("num_background: nothing to make; give signals, got 0")

    @property
    def processes(self) -> dict[str, int]:
        """Names and numbers of events: background, signal200 and so on."""
        found = {BACKGROUND: self.num_background}
        found |= {signal_name(mass): self.num_signal for mass in self.masses}
        return {name: number for name, number in found.items() if number}


def signal_name(mass: float) -> str:
    """``signal200`` or ``signal125p5``."""
    return f"signal{mass:g}".replace(".", "p")


def plan(config: Config, process: str) -> list[Shard]:
    """The shards of one process, in order; no two shards share a seed."""
    masses = {signal_name(mass): mass for mass in config.masses}
    mass = masses.get(process)
    code = 0 if mass is None else round(mass)
    first = 1 + (config.seed * (round(MASS_MAX) + 1) + code) * MAX_SHARDS
    cuts = Cuts(*(getattr(config, name) for name in Cuts._fields))
    number, size = config.processes[process], config.shard_events
    sizes = [size] * (number // size) + ([number % size] if number % size else [])
    settings = pythia_settings(config, mass)
    # A shard stores the cuts that determine its content.
    return [
        Shard(process, index, first + index, n, settings, cast(Any, cuts))
        for index, n in enumerate(sizes)
    ]


def pythia_settings(config: Config, mass: float | None) -> tuple[str, ...]:
    """Settings of Pythia in their order, of the background or of a signal."""
    if mass is None:
        process = (
            "WeakBosonAndParton:ffbar2gmZgm = on",
            "WeakZ0:gmZmode = 2",
            f"PhaseSpace:pTHatMin = {config.parton_pt_min}",
            # Else the photon makes Pythia start its shower at too low a scale.
            "SpaceShower:pTmaxMatch = 2",
        )
    else:
        process = (
            "HiggsSM:gg2H = on",
            f"25:m0 = {mass}",
            f"25:mWidth = {config.width}",
            "25:doForceWidth = on",
            "25:onMode = off",
            "25:onIfMatch = 22 23",
        )
    return (*COMMON, *process, *_LEPTONIC, *config.settings)
