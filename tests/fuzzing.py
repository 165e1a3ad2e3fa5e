"""Files of jets that nobody should have written, and a process that reads them."""

import json
import pathlib
import subprocess
import sys

import h5py
import numpy as np
from conftest import JET_NAMES, PARTICLE_NAMES, jet_arrays, momenta

MiB = 2**20
LAYOUTS = ("jetnet", "hls4ml", "toptagging")
ODD_VALUES = (np.nan, np.inf, -np.inf, -1.0, 0.0, 0.5, 1e-45, 1e30, 1e308, 2.0**63)


def arrays_of(layout, num_jets=12):
    """Name to array of a small right file."""
    arrays = jet_arrays(num_jets, 6, seed=1)
    if layout == "jetnet":
        return arrays
    p = momenta(arrays) * arrays["particle_features"][..., 3:]
    if layout == "hls4ml":
        columns = np.zeros((num_jets, 6, 16))
        columns[..., :3] = p
        jets = np.zeros((num_jets, len(JET_NAMES)))
        jets[np.arange(num_jets), 5 + np.arange(num_jets) % 5] = 1
        return {
            "jetConstituentList": columns,
            "jets": jets,
            "particleFeatureNames": np.array(PARTICLE_NAMES, "S"),
            "jetFeatureNames": np.array(JET_NAMES, "S"),
        }
    kinds = [("index", "<i8"), ("values_block_0", "<f4", (804,))]
    rows = np.zeros(num_jets, [*kinds, ("values_block_1", "<i8", (2,))])
    energy = np.linalg.norm(p, axis=-1, keepdims=True)
    rows["values_block_0"][:, :24] = np.concatenate([energy, p], -1).reshape(-1, 24)
    rows["values_block_1"][:, 1] = np.arange(num_jets) % 2
    return {"table/table": rows}


def write(path, layout, rng, mistakes=()):
    """A file of that layout after some ``mistakes``, names of functions below."""
    options = ({}, {"libver": "latest"}, {"userblock_size": 512}, {"track_order": True})
    with h5py.File(path, "w", **options[rng.integers(len(options))]) as file:
        for key, values in arrays_of(layout).items():
            more = {}
            if rng.random() < 0.5:
                more = {"chunks": (5, *values.shape[1:]), "compression": "gzip"}
            file.create_dataset(key, data=values, **more)
    for name in mistakes:
        # Not all can be made after others: what there is then is bad enough.
        try:
            with h5py.File(path, "a") as file:
                keys = _keys(file)
                key = keys[rng.integers(len(keys))]
                MISTAKES[name](file, key, rng, path)
        except (
            OSError,
            ValueError,
            RuntimeError,
            TypeError,
            LookupError,
            OverflowError,
        ):
            continue
        except AttributeError:  # h5py, of a number to fill up texts with
            continue


def _keys(file):
    """Paths of the data sets."""
    found = []

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found.append(name)

    file.visititems(visit)
    return found


def damage(content, rng, places=None):
    """Bytes with bits flipped, bytes replaced, parts cut, zeroed, repeated or moved."""
    content = bytearray(content)
    for _ in range(places or 1 + rng.integers(4)):
        size = len(content)
        if not size:
            break
        # Most of what can go wrong is in the first bytes and in the last.
        end = (size, min(size, 3000), min(size, 200))[rng.integers(3)]
        a = int(rng.integers(end)) if rng.random() < 0.8 else size - 1 - int(
            rng.integers(end)
        )  # fmt: skip
        length = 1 + int(rng.integers(min(64, size - a)))
        kind = rng.integers(8)
        if kind <= 1:
            content[a] ^= 1 << rng.integers(8)
        elif kind == 2:
            content[a] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 3:
            content[a : a + length] = rng.bytes(length)
        elif kind == 4:
            content[a : a + length] = bytes([rng.choice([0, 255])]) * length
        elif kind == 5:
            b = int(rng.integers(size))
            content[a : a + length] = content[b : b + length]
        elif kind == 6:
            del content[a : a + (length if rng.random() < 0.5 else size)]
        else:
            content[a:a] = rng.bytes(length)
    return bytes(content)


def _read(file, key):
    """All of a data set that can be written again."""
    data = file[key]
    chunk = int(np.prod(data.chunks or 0)) * data.dtype.itemsize
    if data.dtype.hasobject or max(data.nbytes, chunk) > 10**7:
        raise ValueError("pointers, or what an earlier mistake claims")
    if data.is_virtual or data.external:
        raise ValueError("HDF5 itself does not survive all of these")
    return data[()]


def _again(file, key, values=None, **options):
    """The same data set, made anew."""
    values = _read(file, key) if values is None else values
    del file[key]
    file.create_dataset(key, data=values, **options)


def values(file, key, rng, path):
    data = _read(file, key)
    flat = data.reshape(-1)
    if data.dtype.names is None and data.dtype.kind not in "fiub":
        return
    if data.dtype.names:
        flat = data[["values_block_0", "values_block_1"][rng.integers(2)]].reshape(-1)
    for _ in range(1 + rng.integers(5)):
        with np.errstate(all="ignore"):
            value = np.float64(rng.choice(ODD_VALUES)).astype(flat.dtype)
        flat[rng.integers(flat.size)] = value
    _again(file, key, data)


def kind(file, key, rng, path):
    data, shape = _read(file, key), file[key].shape
    kinds = [
        *("f2", "f8", ">f4", ">f8", "i1", "u8", ">i2", "?", "c8", "S5", "longdouble"),
        h5py.string_dtype(),
        h5py.vlen_dtype(np.float32),
        h5py.enum_dtype({"no": 0, "yes": 1}, basetype="i1"),
        h5py.ref_dtype,
        h5py.regionref_dtype,
        h5py.opaque_dtype(np.dtype("V7")),
        np.dtype([("a", "f4"), ("b", "S3", (2,))]),
        np.dtype([(f"{i:0>50}", "f4") for i in range(900)]),
        np.dtype(("f4", (3,))),
        np.dtype("S200000"),
    ]
    new = kinds[rng.integers(len(kinds))]
    del file[key]
    if data.dtype.kind == "c":
        data = data.real
    if isinstance(new, str) and new != "S5" and not data.dtype.names:
        with np.errstate(all="ignore"):
            file[key] = data.astype(new) if data.dtype.kind != "S" else data
    else:
        file.create_dataset(key, shape, new)


def shape(file, key, rng, path):
    data = _read(file, key)
    changes = [
        lambda: data[:0],
        lambda: data[..., :0],
        lambda: data[0],
        lambda: data[..., :2],
        lambda: data[:5],
        lambda: data[None],
        lambda: data.T,
        lambda: data.reshape(-1),
        lambda: np.concatenate([data, data]),
        lambda: data.reshape(-1)[0],
        lambda: h5py.Empty("f4"),
        lambda: np.zeros((1,) * 20, "f4"),
    ]
    _again(file, key, changes[rng.integers(len(changes))]())


def claim(file, key, rng, path):
    old, dtype = file[key].shape, file[key].dtype
    del file[key]
    shapes = [
        (2**40, *old[1:]), (2**20, *old[1:]), (2**62, *old[1:]), (*old[:-1], 2**33),
        (len(old) and old[0], *(2**16,) * (len(old) - 1)), (2**31, 2**31), (10**6,),
    ]  # fmt: skip
    new = shapes[rng.integers(len(shapes))]
    chunks = tuple(min(n, int(2 ** rng.integers(12))) for n in new)
    filters = {} if rng.random() < 0.5 else {"compression": "gzip"}
    fill = [None, 0, 1, 3][rng.integers(4)]
    if dtype.names:
        fill = None
    file.create_dataset(key, new, dtype, chunks=chunks, fillvalue=fill, **filters)


def chunks(file, key, rng, path):
    """Chunks of a few rows, or too large to be anything but a claim."""
    data = _read(file, key)
    sizes = tuple(int(2 ** rng.integers(1, 26)) for _ in data.shape)
    more = {"chunks": sizes, "maxshape": (None,) * data.ndim}
    if np.prod(sizes, dtype=float) * data.dtype.itemsize < 1e6:
        _again(file, key, data, **more)
    else:
        del file[key]
        file.create_dataset(key, data.shape, data.dtype, **more)


def filters(file, key, rng, path):
    data = _read(file, key)
    options = [
        {"compression": "lzf"}, {"shuffle": True, "fletcher32": True},
        {"compression": "gzip", "compression_opts": 9}, {"scaleoffset": 2},
        {"compression": "szip"},
    ]  # fmt: skip
    if rng.random() < 0.5:
        _again(file, key, data, chunks=True, **options[rng.integers(len(options))])
        return
    # A filter that nobody has, optional at writing.
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk(tuple(min(n, 4) for n in data.shape))
    code = int(rng.choice([32001, 32015, 305, 40000, 65535]))
    plan.set_filter(code, h5py.h5z.FLAG_OPTIONAL, (1, 2, 3))
    del file[key]
    space = h5py.h5s.create_simple(data.shape)
    kind = h5py.h5t.py_create(data.dtype, logical=True)
    h5py.h5d.create(file.id, key.encode(), kind, space, plan)
    file[key][...] = data


def link(file, key, rng, path):
    top = key.split("/")[0]
    target = [
        key if rng.random() < 0.5 else top,
        *("/nowhere", "/", ".", "..", "/loop/loop/loop", "/jet_features", "/jets"),
    ][rng.integers(8)]
    place = key if rng.random() < 0.5 else top
    del file[place]
    file["loop"] = file["/"]  # a group that holds itself
    others = [str(path), "/dev/zero", "/dev/stdin", "nowhere.h5", str(path.parent)]
    other = others[rng.integers(len(others))]
    if rng.random() < 0.4:
        file[place] = h5py.SoftLink(target)
    elif rng.random() < 0.7:
        file[place] = h5py.ExternalLink(other, target)
    elif rng.random() < 0.5:
        file[place] = file["/"]
    else:
        file[place] = np.dtype("f4")  # a named type


def bomb(file, key, rng, path):
    """Thousands of links, each to the one before, or a group of itself many times."""
    num = int(rng.choice([10, 100, 1000]))
    del file[key]
    last = file.create_group("g0")
    for i in range(num):
        if rng.random() < 0.5:
            file[f"s{i}"] = h5py.SoftLink(f"/s{i + 1}")
        else:
            last[f"h{i}"] = last
    file[key] = h5py.SoftLink("/s0")


def elsewhere(file, key, rng, path):
    old, dtype = file[key].shape, file[key].dtype
    del file[key]
    other = [str(path), "/dev/zero", "nowhere"][rng.integers(3)]
    if rng.random() < 0.5:
        size = int(np.prod(old)) * dtype.itemsize
        file.create_dataset(key, old, dtype, external=[(other, 0, size)])
    else:
        layout = h5py.VirtualLayout(old, dtype)
        layout[...] = h5py.VirtualSource(other, key, old)
        file.create_virtual_dataset(key, layout)


def attributes(file, key, rng, path):
    names = ["generator", "empty_jets", "provenance", "x" * 60000, "\udcff"]
    values = [
        "x" * 60000, np.zeros(7000), h5py.Empty("f4"), np.nan, b"\xff\xfe", "a\nb\0c",
        np.array(["a", "b"], h5py.string_dtype()), file.ref, "\N{SNOWMAN}" * 9, 2**63,
        np.zeros((100, 70)), np.array(b"\xff" * 20000),
    ]  # fmt: skip
    for target in (file, file[key]):
        for name in names:
            if rng.random() < 0.5:
                target.attrs[name] = values[rng.integers(len(values))]


def names(file, key, rng, path):
    """Other texts for names, or a data set of another name."""
    texts = [b"", b"\xff" * 300, b"\n\x1b[2J", b"x" * 10000, b"\xe2\x98\x83"]
    if file[key].dtype.kind == "S":
        data = _read(file, key).astype("S10000")
        data[rng.integers(len(data))] = texts[rng.integers(len(texts))]
        _again(file, key, data)
    else:
        file.id.links.move(key.encode(), texts[rng.integers(1, len(texts))][:5000])


MISTAKES = {
    f.__name__: f
    for f in (values, kind, shape, claim, chunks, filters, link, bomb, elsewhere,
              attributes, names)
}  # fmt: skip


class Reader:
    """A process that reads files, and is replaced when one of them ends it."""

    def __init__(self):
        self._process = None
        self.memory = self.first = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._process is not None:
            self._process.stdin.close()
            self._process.stdout.close()
            self._process.kill()
            self._process.wait()
            self._process = None

    def read(self, path, **request):
        """What became of one file, as a dict of ``outcome`` and ``text``."""
        if self._process is None:
            worker = pathlib.Path(__file__).with_name("fuzz_worker.py")
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", str(worker)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(json.dumps({"path": str(path), **request}) + "\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            code = self._process.wait()
            self.close()
            return {"outcome": "died", "text": f"exit code {code}: -14 is a hang"}
        found = json.loads(answer)
        self.memory = found["memory"]
        return found
