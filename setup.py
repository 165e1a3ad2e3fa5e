"""All metadata of jetvae_jax; pyproject.toml holds only the build system and tools."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+)"', (HERE / "jetvae_jax" / "__init__.py").read_text()
).group(1)

REPORT = ["jinja2>=3.1"]
PLOT = [*REPORT, "matplotlib>=3.9"]
FORMATS = ["pyarrow>=17", "uproot>=5.6.4", "awkward>=2.8.4"]
HDF5 = ["hdf5plugin>=4.4"]
TEST = [
    "pytest>=8",
    "pytest-xdist>=3.5",
    "hypothesis>=6.100",
    "ruff>=0.6",
    "pyright>=1.1.380",
]
INTERPLAY = ["awkward>=2.8.4", "vector>=1.6.1", "pandas>=2.2.2"]
COFFEA = [
    *("coffea>=2025.3", "fastjet>=3.5.2", "hist>=2.8"),
    *("dask-awkward>=2025.3", "dask-histogram>=2025.2"),
]
EXPORT = ["flatbuffers>=24.3.6"]
ONNX = ["onnx>=1.17", "onnxruntime>=1.20"]
TUNE = [*REPORT, "optuna>=4.2", "plotly>=5.24"]
TENSORBOARD = ["tensorboardX>=2.6.4"]
WANDB = ["wandb>=0.18"]
DASK = ["dask[distributed]>=2025.1"]
JOBQUEUE = ["dask-jobqueue>=0.9"]
MAKE_JETS = [
    # Later ones have no wheels: pip would compile them.
    "pythia8mc>=8.317,<8.318",
    "fastjet>=3.5.2",
    "awkward>=2.6",
    *DASK,
]
DOCS = ["sphinx>=8.2", "myst-parser>=4", "furo>=2025.7", "sphinx-mathjax-offline"]

setup(
    name="jetvae_jax",
    version=VERSION,
    description="Variational autoencoders for LHC jets in JAX",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    # The scripts are beside the package in a checkout and inside it in a wheel: see
    # jetvae_jax/core/commands.py.
    packages=[
        *find_packages(include=["jetvae_jax", "jetvae_jax.*"]),
        "jetvae_jax.experiments",
    ],
    package_dir={"jetvae_jax.experiments": "experiments"},
    entry_points={"console_scripts": ["jetvae = jetvae_jax.__main__:main"]},
    package_data={
        "jetvae_jax.experiments": ["flagfiles/*.txt", "spaces/*.toml"],
        "jetvae_jax": [
            "py.typed",
            "data/embedded/*",
            "images/sample/*",
            "events/sample/*",
            "making/*.json",
            "report/templates/*",
            "zoo/*/*",
        ],
    },
    install_requires=[
        "jax>=0.10",
        "jaxlib>=0.10",
        "flax>=0.12",
        "optax>=0.2.6",
        "distrax>=0.1.7",
        "ott-jax>=0.5",
        "numpy>=2.0",
        "h5py>=3.11",
        "scipy>=1.14",
        "POT>=0.9.5",
        "absl-py>=2.3.1",
        "rich>=13",
        "threadpoolctl>=3.5",
    ],
    extras_require={
        "plot": PLOT,
        "make-jets": MAKE_JETS,
        "dask": DASK + JOBQUEUE,
        "formats": [*FORMATS, *HDF5],
        "interplay": [*INTERPLAY, *COFFEA],
        "tune": TUNE,
        "export": EXPORT,
        "onnx": ONNX,
        "tensorboard": TENSORBOARD,
        "wandb": WANDB,
        # All that a user may need, without accelerators.
        "all": [
            *(*PLOT, *MAKE_JETS, *FORMATS, *HDF5, *INTERPLAY, *COFFEA, *TUNE),
            *(*EXPORT, *ONNX, *TENSORBOARD, *WANDB, *JOBQUEUE),
        ],
        # JAX for an accelerator, by its own extras.
        "cuda12": ["jax[cuda12]>=0.10"],
        "cuda13": ["jax[cuda13]>=0.10"],
        "tpu": ["jax[tpu]>=0.10"],
        "docs": DOCS,
        "test": PLOT + TEST + FORMATS + INTERPLAY + TUNE + EXPORT + ONNX + TENSORBOARD,
        "benchmark": ["torch>=2.5", "nflows>=0.14", "zuko>=1.4"],
    },
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Physics",
    ],
)
