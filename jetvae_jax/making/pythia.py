"""Pythia: batches of events as arrays."""

import importlib.metadata
import importlib.util
import math
import time

import numpy as np

from jetvae_jax.core.errors import InputError

TOOLS = ("pythia8mc", "fastjet", "awkward", "distributed")
# Beams whose events Pythia generates. From a file of events, frame type 4 and above,
# every shard would read the same ones.
_LARGEST_FRAME_TYPE = 3
_TWO_Z = 231  # f fbar -> gamma*/Z0 gamma*/Z0


def require_tools() -> None:
    """Checks for the packages of ``pip install 'jetvae_jax[make-jets]'``.

    Raises:
        InputError: a package is missing.
    """
    missing = [name for name in TOOLS if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"making jets needs {', '.join(missing)}: pip install "
            "'jetvae_jax[make-jets]'"
        )


def versions() -> dict[str, str]:
    """Versions of the tools that determine the content of a shard."""
    return {name: importlib.metadata.version(name) for name in TOOLS[:2]}


class Generator:
    """A Pythia with its settings and a seed.

    Args:
        settings: of Pythia, in their order.
        seed: from 1 to 900,000,000.

    Raises:
        InputError: a setting is unknown, together they cannot work, or they read
            events from a file.
    """

    def __init__(self, settings: tuple[str, ...], seed: int):
        import pythia8mc

        # No banner; the empty path keeps Pythia from reading the environment.
        self._pythia = pythia8mc.Pythia("", False)
        self.seconds = 0.0
        for line in ("Print:quiet = on", *settings, "Random:setSeed = on"):
            self._read(line)
        self._read(f"Random:seed = {seed}")
        if self._pythia.mode("Beams:frameType") > _LARGEST_FRAME_TYPE:
            raise InputError(
                "Pythia: Beams:frameType reads events from a file, so every shard "
                "would hold the same ones; give a process that Pythia generates"
            )
        if not self._pythia.init():
            raise InputError(
                "Pythia: cannot start with these settings (see its lines above): "
                + "; ".join(settings)
            )

    def _read(self, line: str) -> None:
        if not self._pythia.readString(line):
            raise InputError(f"Pythia: does not know the setting {line!r}")

    def batch(self, num_events: int):
        """The next events; those that fail are left out.

        Returns:
            Awkward array of events with ``prt`` (id, status, mother1, mother2, p) and
            ``info``, of length ``num_events`` or less.

        Raises:
            InputError: the events have weights.
        """
        import awkward as ak

        start = time.process_time()
        events = self._pythia.nextBatch(num_events, errorMode="skip")
        self.seconds += time.process_time() - start
        weights = ak.to_numpy(ak.flatten(events.info.weights[:, :1]))
        # One in hundreds has a weight of about 1.03, where Pythia estimated the maximum
        # of the cross-section too low; it counts as one event, as is usual.
        if np.sum(weights != 1) > len(weights) / 2:
            raise InputError(
                "Pythia: these settings give weighted events, which no layout of jets "
                "can hold; give an unweighted process"
            )
        return events

    def visible(self, ids: np.ndarray) -> np.ndarray:
        """Which particles ``[n]`` are visible to a detector: all but neutrinos."""
        kinds, where = np.unique(ids, return_inverse=True)
        data = self._pythia.particleData
        seen = np.array([data.isVisible(int(kind)) for kind in kinds], bool)
        return seen[where]

    def cross_section(self) -> tuple[float, float]:
        """Cross-section of the process from the events so far, and its error, in pb.

        For two Z on their mass shell Pythia gives the value at the peak of both
        Breit-Wigners; their integrals, pi m Gamma each, are multiplied here. With the
        tails (``PhaseSpace:useBreitWigners = on``) the cross-section in the window of
        masses is the same within a per cent.
        """
        info = self._pythia.infoPython()
        data, scale = self._pythia.particleData, 1e9
        on_shell = not self._pythia.flag("PhaseSpace:useBreitWigners")
        if on_shell and list(info.codesHard()) == [_TWO_Z]:
            scale *= (math.pi * data.m0(23) * data.mWidth(23)) ** 2
        return scale * info.sigmaGen(), scale * info.sigmaErr()
