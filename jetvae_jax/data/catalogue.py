"""The public data sets: where their files are, how large, and their checksums.

File names and MD5 of QuarkGluon are those in the source of EnergyFlow, those of MNIST
in torchvision. Zenodo publishes the checksums of the others with each record, from
where they are taken at download time; the sizes here are only for fetching by hand.
The file names of hls4ml50 follow those of its sisters and have not been verified.
"""

from typing import NamedTuple

from jetvae_jax.core.errors import InputError, did_you_mean

ZENODO = "https://zenodo.org"
MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
MNIST_MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    "https://yann.lecun.com/exdb/mnist",
)


class Remote(NamedTuple):
    """One file to fetch.

    Attributes:
        name: of the file.
        url: where it is.
        size: in bytes, or None if unknown here.
        md5: its checksum, or None if only the record publishes it.
        jet_type: class of jets in it, empty if several.
        mirrors: other addresses of the same file.
    """

    name: str
    url: str
    size: int | None = None
    md5: str | None = None
    jet_type: str = ""
    mirrors: tuple[str, ...] = ()


class DataSet(NamedTuple):
    """The files of one data set.

    Attributes:
        name: for the flag.
        title: for messages.
        page: to open in a browser.
        record: JSON description by Zenodo with sizes and checksums; empty for none.
        files: all of them.
    """

    name: str
    title: str
    page: str
    record: str
    files: tuple[Remote, ...]

    def of_type(self, jet_types: tuple[str, ...]) -> tuple[Remote, ...]:
        """The files that hold these classes; all of them if none is named.

        Raises:
            InputError: no file of that class.
        """
        if not jet_types or not any(file.jet_type for file in self.files):
            return self.files
        known = [file.jet_type for file in self.files]
        for name in jet_types:
            if name not in known:
                raise InputError(
                    f"jet_types: {self.name} has no class {name!r}; choose from "
                    f"{', '.join(known)}"
                )
        return tuple(file for file in self.files if file.jet_type in jet_types)


def names() -> tuple[str, ...]:
    """Names of all data sets."""
    return tuple(_ALL)


def get(name: str) -> DataSet:
    """A data set by its name.

    Raises:
        InputError: unknown; the message names the nearest.
    """
    if name not in _ALL:
        hint = did_you_mean(name, _ALL)
        raise InputError(
            f"dataset {name!r} is unknown{hint}; choose one of {', '.join(_ALL)}"
        )
    return _ALL[name]


def _zenodo(name: str, title: str, record: int, *files: tuple) -> DataSet:
    """A record of Zenodo; files are (name, size, md5, jet_type), as far as known."""
    page = f"{ZENODO}/records/{record}"
    remotes = (
        Remote(file[0], f"{page}/files/{file[0]}?download=1", *file[1:])
        for file in files
    )
    return DataSet(name, title, page, f"{ZENODO}/api/records/{record}", tuple(remotes))


def _hls4ml(particles: int, record: int, *sizes: int | None) -> DataSet:
    parts = zip(("train", "val"), sizes or (None, None), strict=True)
    files = [(f"hls4ml_LHCjet_{particles}p_{part}.tar.gz", n) for part, n in parts]
    title = f"hls4ml LHC jets, {particles} particles"
    return _zenodo(f"hls4ml{particles}", title, record, *files)


_JETNET30 = {
    "g": 87_919_040,
    "q": 84_658_832,
    "t": 88_262_768,
    "w": 87_879_360,
    "z": 87_770_240,
}

_QG_MD5 = """
f5d052f10a79c6e8b9382637aca0ef52 f6a1081c76a47386bc11abcf0e499552
2628367c57ba598f4473c870d1381041 dd3ad998b0a1bd9acea2ecf029a8a921
a56d6bb98361b55382aa8c06225e05d8 266c688e9e6ff1cd20840692d45eaaf8
95a9f7e555fb7b1073967056b9030b11 4ae72aaabe121bd489532c99a6bdde95
a2b80bd4199468fde4f302d346a8c9d8 1157cbace488c70c9dcfc250f3345b06
4b424b553e1e7f852e47ea9904bc2dcf ccd29c9d1abb34dd7cfb48cfc57a9695
1ed1f6f19fb8439c9811dced41d5127d af45818c361e11ca9b3adaba30db06ad
488ced3ea409d7e2b196da67f7d182ec c5e083019de6cd6a0ef12bcec1ea566b
48605d55edff665f0c7d2f800b5a622e 8fd47760957b5fd9adec9048b50cd1a9
d43d611484b55391e891ba31c605f792 6753508e34014cc69714a01fca20ec38
"""

_QG_BC_MD5 = """
e9ac4044a07f56a919a96e2b30c15fed 5e0c0a08c5de47b190b514ce49ff4e94
7c4209b14f778bb6c8cb6833a3d47854 cabbd75d4313e07bf8cd8e3479e06c18
87e793e74e5e665e40c1ece764952934 fd0ff359e1e64023b1c1f05e854c7180
fed4dfe45618598c853f8d9d24a40afd 4220bee4b081850e41b3462c06538bda
a7d76ec2ab2ef6d5777de5574e289c26 40b9d803d1579ef77d6eda733e385e22
bd5871239ddadcf080e62ffea07bb122 d7731f5abdf7d3e0c17eca846c25eff3
68514a76032dddb3b9cfd38654a4d433 d3dca7cb617c66e6f58ea248a10b5ccb
625a2d19e9b3ac6907362be3cefc404c dae5923aba89ad393e1c59c63f2552e2
c611ace22f23518ae20d9e828fb5d0bc 821cff3746d2fa07ad1b9feb056dd88b
5c4775a99d18ac713360d9bbc43bfb43 5fd9bcfa8baafb6b3f6efb5114420976
"""

_MNIST = (
    ("train-images-idx3-ubyte.gz", 9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
    ("train-labels-idx1-ubyte.gz", 28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
    ("t10k-images-idx3-ubyte.gz", 1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
    ("t10k-labels-idx1-ubyte.gz", 4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
)

_ALL = {
    dataset.name: dataset
    for dataset in (
        _zenodo(
            "jetnet30",
            "JetNet, 30 particles",
            6975118,
            *((f"{k}.hdf5", size, None, k) for k, size in _JETNET30.items()),
        ),
        _zenodo(
            "jetnet150",
            "JetNet, 150 particles",
            6975117,
            *((f"{k}150.hdf5", None, None, k) for k in _JETNET30),
        ),
        _hls4ml(30, 3601436),
        _hls4ml(50, 3601443),
        _hls4ml(100, 3602254),
        _hls4ml(150, 3602260, 2_725_115_104, None),
        _zenodo(
            "toptagging",
            "Top quark tagging reference data set",
            2603256,
            *((f"{part}.h5",) for part in ("train", "val", "test")),
        ),
        _zenodo(
            "quarkgluon",
            "Pythia 8 quark and gluon jets for EnergyFlow",
            3164691,
            *(
                (f"QG_jets{f'_{i}' if i else ''}.npz", None, md5)
                for i, md5 in enumerate(_QG_MD5.split())
            ),
        ),
        _zenodo(
            "quarkgluon_bc",
            "Pythia 8 quark (with b and c) and gluon jets for EnergyFlow",
            3164691,
            *(
                (f"QG_jets_withbc_{i}.npz", None, md5)
                for i, md5 in enumerate(_QG_BC_MD5.split())
            ),
        ),
        DataSet(
            "mnist",
            "MNIST handwritten digits",
            "https://yann.lecun.com/exdb/mnist/",
            "",
            tuple(
                Remote(
                    n,
                    f"{MNIST}/{n}",
                    size,
                    md5,
                    mirrors=tuple(f"{mirror}/{n}" for mirror in MNIST_MIRRORS),
                )
                for n, size, md5 in _MNIST
            ),
        ),
    )
}
