"""The event loop: batches of Pythia events as arrays."""

import importlib.metadata
import importlib.util
import math
import time

import numpy as np

from jetvae_jax.core.errors import InputError

TOOLS = ("pythia8mc", "fastjet", "awkward", "distributed")
# One hard process, two beams of protons: no file of events is behind it, of which
# every shard would read the same ones.
_LARGEST_FRAME_TYPE = 3
_TWO_Z = 231  # f fbar -> gamma*/Z0 gamma*/Z0


def require_tools() -> None:
    """Checks that ``pip install 'jetvae_jax[make-jets]'`` was done.

    Raises:
        InputError: something is missing.
    """
    missing = [name for name in TOOLS if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"making jets needs {', '.join(missing)}: pip install "
            "'jetvae_jax[make-jets]'"
        )


def versions() -> dict[str, str]:
    """Versions of what decides the content of a shard."""
    return {name: importlib.metadata.version(name) for name in TOOLS[:2]}


class Generator:
    """One Pythia with one seed.

    Args:
        settings: of Pythia, in their order.
        seed: from 1 to 900,000,000.

    Raises:
        InputError: a setting is unknown, together they cannot work, or they read
            events from a file.
    """

    def __init__(self, settings: tuple[str, ...], seed: int):
        import pythia8mc

        # No banner; without an empty path Pythia looks into the environment.
        self._pythia = pythia8mc.Pythia("", False)
        self.seconds = 0.0
        for line in ("Print:quiet = on", *settings, "Random:setSeed = on"):
            self._read(line)
        self._read(f"Random:seed = {seed}")
        if self._pythia.mode("Beams:frameType") > _LARGEST_FRAME_TYPE:
            raise InputError(
                "Pythia: Beams:frameType reads events from a file, so every shard "
                "would hold the same ones; give a process of Pythia's own"
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
        """Events one after the other; those that fail are left out.

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
        # One in hundreds has 1.03 or so, where Pythia had guessed the maximum of the
        # cross-section too low; it counts as one event, as is usual.
        if np.sum(weights != 1) > len(weights) / 2:
            raise InputError(
                "Pythia: these settings give weighted events, which no layout of jets "
                "can hold; give an unweighted process"
            )
        return events

    def visible(self, ids: np.ndarray) -> np.ndarray:
        """Which particles ``[n]`` a detector could see; neutrinos it cannot."""
        kinds, where = np.unique(ids, return_inverse=True)
        data = self._pythia.particleData
        seen = np.array([data.isVisible(int(kind)) for kind in kinds], bool)
        return seen[where]

    def cross_section(self) -> tuple[float, float]:
        """Of the process, by the events so far, and its error, in pb.

        Of two Z on their mass shell Pythia gives the value at the peak of both
        Breit-Wigners; their integrals, pi m Gamma each, are put in here. With the
        tails (``PhaseSpace:useBreitWigners = on``) it is the same within a per cent of
        what lies in the window of masses.
        """
        info = self._pythia.infoPython()
        data, scale = self._pythia.particleData, 1e9
        on_shell = not self._pythia.flag("PhaseSpace:useBreitWigners")
        if on_shell and list(info.codesHard()) == [_TWO_Z]:
            scale *= (math.pi * data.m0(23) * data.mWidth(23)) ** 2
        return scale * info.sigmaGen(), scale * info.sigmaErr()
