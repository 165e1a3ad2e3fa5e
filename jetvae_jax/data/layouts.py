"""Every layout of jets behind one door: recognised by its content, read in blocks."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator, Sequence

import h5py

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import validation
from jetvae_jax.data.containers import hdf5, npz, tables
from jetvae_jax.data.containers.reading import listing, printable
from jetvae_jax.data.formats import columns, energyflow, hls4ml, jetnet, toptagging
from jetvae_jax.data.validation import Audit, Block


class Source:
    """An open file of jets.

    Attributes:
        layout: its name.
        key: of the particles, for messages.
        generator: what made the jets, if the file says it.
        generated: whether this package wrote it: jets of a model may be empty.
    """

    layout: str
    key: str
    generator: str | None = None
    generated: bool = False

    @property
    def width(self) -> int | None:
        """Particles a row, where all files of a data set have the same."""
        return None

    def blocks(
        self,
        audit: Audit,
        *,
        num_particles: int,
        max_jets: int | None,
        jet_type: str,
        seed: int,
    ) -> Iterator[Block]:
        """Jets of one class, from the first.

        Args:
            audit: collects what is wrong.
            num_particles: lists of particles are padded to it at least.
            max_jets: how many; None for all.
            jet_type: one of ``validation.JET_TYPES``.
            seed: of phi of the jets where the file has none.

        Raises:
            InputError: the file is damaged, or not of its layout.
        """
        found = self._blocks(audit, num_particles, max_jets, jet_type, seed)
        return validation.until_damage(found, audit)

    def _blocks(
        self,
        audit: Audit,
        num_particles: int,
        max_jets: int | None,
        jet_type: str,
        seed: int,
    ) -> Iterator[Block]:
        raise NotImplementedError

    def classes(self) -> dict[str, int]:
        """Jets of each class in the file; empty if it does not say."""
        return {}


@contextlib.contextmanager
def opened(
    path: str | os.PathLike, mapping: columns.Columns | None = None
) -> Iterator[Source]:
    """Opens a file of any known layout.

    Args:
        path: of the file.
        mapping: where the jets are in a user's own file; None to recognise it.

    Raises:
        InputError: unreadable, or no known layout.
    """
    path = pathlib.Path(path)
    suffix = path.suffix.lower()
    if mapping is not None or suffix in (*tables.PARQUET, *tables.ROOT):
        with tables.opened(path, mapping.tree if mapping else "") as table:
            yield _Columns(table, mapping or columns.JETCLASS)
    elif suffix in npz.SUFFIXES:
        with npz.opened(path) as archive:
            own = {"particles", "mask"} <= set(archive.names)
        if own:
            with tables.opened(path) as table:
                yield _Columns(table, columns.OWN_NPZ)
            return
        with npz.opened(path) as archive:
            _known(path, archive.names, energyflow.is_layout(archive.names))
            yield _EnergyFlow(archive)
    else:
        with hdf5.open_file(path) as file:
            keys = hdf5.keys(file)
            found = [kind for kind in _HDF5 if kind.module.is_layout(keys)]
            _known(path, keys, bool(found))
            yield found[0](file)


def _known(path: pathlib.Path, names: Sequence[str], known: bool) -> None:
    if not known:
        raise InputError(
            f"{path}: keys are {listing(names)}: expected {jetnet.KEY} and "
            f"{jetnet.JETS} (JetNet), {hls4ml.KEY} and {hls4ml.JETS} (hls4ml), "
            f"{toptagging.KEY} (top tagging), {energyflow.KEY} and {energyflow.LABEL} "
            f"(EnergyFlow npz), or a mapping of columns such as {columns.EXAMPLE}"
        )


class _JetNet(Source):
    layout, key, module = "jetnet", jetnet.KEY, jetnet

    def __init__(self, file: h5py.File):
        self._file = file
        self.generator = hdf5.text(file, "generator")
        self.generated = jetnet.is_generated(file)

    @property
    def width(self) -> int | None:
        return hdf5.dataset(self._file, self.key, (None, None, None)).shape[1]

    def _blocks(self, audit, num_particles, max_jets, jet_type, seed):
        return jetnet.blocks(
            self._file, audit, max_jets, seed, check_sum=not self.generated
        )


class _HLS4ML(Source):
    layout, key, module = "hls4ml", hls4ml.KEY, hls4ml

    def __init__(self, file: h5py.File):
        self._file = file
        self.generator = hdf5.text(file, "generator")

    @property
    def width(self) -> int | None:
        return hdf5.dataset(self._file, self.key, (None, None, None)).shape[1]

    def _blocks(self, audit, num_particles, max_jets, jet_type, seed):
        return hls4ml.blocks(self._file, audit, max_jets, jet_type)

    def classes(self) -> dict[str, int]:
        data = hdf5.dataset(self._file, hls4ml.JETS, (None, None))
        names = hdf5.names(self._file, "jetFeatureNames")[: data.shape[1]]
        counts: dict[str, int] = dict.fromkeys(validation.JET_TYPES, 0)
        for start, stop in validation.row_blocks(len(data), hdf5.block_rows(data)):
            rows = hdf5.read(data, start, stop, slice(None))
            for name in counts:
                if (label := f"j_{name}") in names:
                    counts[name] += int((rows[:, names.index(label)] == 1).sum())
        return counts


class _TopTagging(Source):
    layout, key, module = "toptagging", toptagging.KEY, toptagging

    def __init__(self, file: h5py.File):
        self._file = file

    def _blocks(self, audit, num_particles, max_jets, jet_type, seed):
        return toptagging.blocks(
            self._file, audit, max_jets=max_jets, jet_type=jet_type
        )

    def classes(self) -> dict[str, int]:
        return toptagging.classes(self._file)


_HDF5 = (_JetNet, _HLS4ML, _TopTagging)


class _EnergyFlow(Source):
    layout, key = "energyflow", energyflow.KEY

    def __init__(self, archive: npz.Archive):
        self._archive = archive

    def _blocks(self, audit, num_particles, max_jets, jet_type, seed):
        return energyflow.blocks(
            self._archive, audit, max_jets=max_jets, jet_type=jet_type
        )

    def classes(self) -> dict[str, int]:
        return energyflow.classes(self._archive)


class _Columns(Source):
    layout = "columns"

    def __init__(self, table: tables.Table, mapping: columns.Columns):
        self._table, self._mapping = table, mapping
        self.key = mapping.names[0]
        try:
            facts = json.loads(table.provenance or "{}")
        except ValueError:
            facts = {}
        facts = facts if isinstance(facts, dict) else {}
        generator = facts.get("generator")
        self.generator = printable(generator) if isinstance(generator, str) else None
        self.generated = "empty_jets" in facts

    def _blocks(self, audit, num_particles, max_jets, jet_type, seed):
        return columns.blocks(
            self._table,
            self._mapping,
            audit,
            num_particles=num_particles,
            max_jets=max_jets,
        )
