"""Counts over jets that arrive in blocks: ranges, padding, order, duplicates."""

from typing import Any

import numpy as np

from jetvae_jax.data.duplicates import hashes
from jetvae_jax.data.validation import Block, Rows

MAX_JETS = 1_000_000  # whose rows are kept
MAX_ETA, MAX_DISTANCE = 6.0, 1.5
JET = ("pt [GeV]", "eta", "phi", "mass [GeV]", "particles")
# Name, least, largest, bins.
PARTICLE = (
    ("log10 pt [GeV]", -4.0, 5.0, 90),
    ("eta - eta of the jet", -1.0, 1.0, 100),
    ("phi - phi of the jet", -1.0, 1.0, 100),
    ("share of the jet's pt", 0.0, 1.0, 100),
)


class Tally:
    """Everything that one pass over a file can count.

    Attributes:
        jets: rows seen.
        good: rows without a problem.
    """

    def __init__(self):
        self.jets = self.good = 0
        self._slots = self._filled = self._unsorted = self._distant = 0
        self._steep = self._single = 0
        self._widest = self._particles = 0
        self._rows: list[np.ndarray] = []
        self._kept = 0
        self._hashes: list[np.ndarray] = []
        self._extremes = {
            "particle pt [GeV]": [np.inf, 0.0, -np.inf],
            "particle eta": [np.inf, 0.0, -np.inf],
        }
        self._counts = {name: np.zeros(bins) for name, _, _, bins in PARTICLE}
        self._edges = {n: np.linspace(a, b, k + 1) for n, a, b, k in PARTICLE}

    def add(self, block: Block, good: Rows) -> None:
        """Counts some rows.

        Args:
            block: as the file has them.
            good: those of it without problems, as they are read.
        """
        self.jets += len(block.mask)
        self.good += len(good.mask)
        self._slots += block.mask.size
        self._filled += int(block.mask.sum())
        self._widest = max(self._widest, block.mask.shape[1])
        pt = np.where(block.mask, block.pt, -np.inf)
        self._unsorted += int((pt[:, 1:] > pt[:, :-1] * (1 + 1e-5)).any(1).sum())
        if len(good.mask):
            self._add_good(np.asarray(good.particles, np.float64), good.mask)

    def _add_good(self, p: np.ndarray, mask: np.ndarray) -> None:
        self._hashes.append(hashes(p.astype(np.float32), mask))
        total = p.sum(1)
        energy = np.linalg.norm(p, axis=-1).sum(1)
        momentum = np.linalg.norm(total, axis=-1)
        mass = np.sqrt(np.maximum((energy - momentum) * (energy + momentum), 0))
        jet_pt, jet_eta, jet_phi = _cylindrical(total)
        count = mask.sum(1)
        if self._kept < MAX_JETS:
            rows = np.stack([jet_pt, jet_eta, jet_phi, mass, count], axis=-1)
            self._rows.append(rows[: MAX_JETS - self._kept].astype(np.float32))
            self._kept += len(self._rows[-1])
        pt, eta, phi = _cylindrical(p)
        away_eta = eta - jet_eta[:, None]
        away_phi = np.mod(phi - jet_phi[:, None] + np.pi, 2 * np.pi) - np.pi
        share = pt / np.maximum(jet_pt, 1e-30)[:, None]
        far = mask & (np.hypot(away_eta, away_phi) > MAX_DISTANCE)
        self._distant += int(far.any(1).sum())
        self._steep += int((mask & (np.abs(eta) > MAX_ETA)).any(1).sum())
        self._single += int((count == 1).sum())
        self._particles += int(count.sum())
        for name, values in zip(self._extremes, (pt[mask], eta[mask]), strict=True):
            if values.size:
                least, summed, largest = self._extremes[name]
                self._extremes[name] = [
                    min(least, values.min()),
                    summed + values.sum(),
                    max(largest, values.max()),
                ]
        log_pt = np.log10(np.maximum(pt, 1e-30))
        for name, values in zip(
            self._counts, (log_pt, away_eta, away_phi, share), strict=True
        ):
            counts, _ = np.histogram(values[mask], self._edges[name])
            self._counts[name] += counts

    def facts(self) -> dict[str, Any]:
        """Names and values, for the reader."""
        if not self.jets:
            return {}
        return {
            "jets": f"{self.jets:,} read, {self.good:,} good",
            "particles a jet": f"up to {self._widest}, "
            f"{self._filled / self.jets:.4g} in the mean",
            "padding": f"{1 - self._filled / max(self._slots, 1):.1%} of the places",
            "order": f"{1 - self._unsorted / self.jets:.1%} of the jets in falling pt",
            "duplicates": f"{self.duplicates():,}",
        }

    def remarks(self) -> list[str]:
        """What is unusual and does no harm."""
        counts = {
            "jets are not in falling pt: readers sort them": self._unsorted,
            f"jets have a particle beyond |eta| {MAX_ETA:g}": self._steep,
            f"jets have a particle {MAX_DISTANCE:g} or more from the axis": (
                self._distant
            ),
            "jets have a single particle": self._single,
        }
        return [f"{n:,} {text}" for text, n in counts.items() if n]

    def ranges(self) -> dict[str, tuple[float, float, float]]:
        """Least, mean and largest of each quantity, of the good jets."""
        if not self.good:
            return {}
        jets = {
            f"jet {name}" if name != "particles" else "particles": (
                float(v.min()), float(v.mean(dtype=np.float64)), float(v.max())
            )
            for name, v in self.jet_rows().items()
        }  # fmt: skip
        particles = {
            name: (float(a), float(total / self._particles), float(b))
            for name, (a, total, b) in self._extremes.items()
            if np.isfinite(a)
        }
        return jets | particles

    def median_pt(self) -> float:
        """Of the good jets."""
        return float(np.median(self.jet_rows()[JET[0]]))

    def jet_rows(self) -> dict[str, np.ndarray]:
        """Jets' quantities, of at most ``MAX_JETS`` jets."""
        rows = np.concatenate([np.zeros((0, len(JET)), np.float32), *self._rows])
        return dict(zip(JET, rows.T, strict=True))

    def histograms(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Counts and edges of the particles' quantities."""
        return {name: (self._counts[name], self._edges[name]) for name in self._counts}

    def duplicates(self) -> int:
        """Good jets that are the same as an earlier one."""
        if not self._hashes:
            return 0
        hashes = np.concatenate(self._hashes)
        return len(hashes) - len(np.unique(hashes))


def _cylindrical(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pt = np.hypot(p[..., 0], p[..., 1])
    eta = np.arcsinh(p[..., 2] / np.where(pt > 0, pt, 1))
    return pt, np.where(pt > 0, eta, 0), np.arctan2(p[..., 1], p[..., 0])
