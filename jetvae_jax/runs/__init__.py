"""The main job as functions over one folder, the workdir.

``train -> fit_flow (fit_copula) -> generate -> evaluate``: each reads what the one
before it left in the folder. The scripts under ``experiments/`` only turn flags into
the frozen configs taken here; a notebook calls these functions directly.
"""

from jetvae_jax.jets.domain import Data as DataConfig
from jetvae_jax.runs.composition import Config as PartsConfig
from jetvae_jax.runs.config import (
    CopulaRun,
    EvaluateConfig,
    FlowRun,
    GenerateConfig,
    VAERun,
)
from jetvae_jax.runs.evaluate import evaluate
from jetvae_jax.runs.fit_copula import fit_copula, load_copula
from jetvae_jax.runs.fit_flow import fit_flow, load_flow
from jetvae_jax.runs.generate import generate
from jetvae_jax.runs.train import load_vae, train
from jetvae_jax.runs.tune import TuneConfig, read_space, tune

__all__ = [
    "CopulaRun",
    "DataConfig",
    "EvaluateConfig",
    "FlowRun",
    "GenerateConfig",
    "PartsConfig",
    "TuneConfig",
    "VAERun",
    "evaluate",
    "fit_copula",
    "fit_flow",
    "generate",
    "load_copula",
    "load_flow",
    "load_vae",
    "read_space",
    "train",
    "tune",
]
