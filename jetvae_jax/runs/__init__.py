"""The main job as functions over one folder, the workdir.

``train -> fit_flow -> generate -> evaluate``: each reads what the one before it
left in the folder. The scripts under ``experiments/`` only turn flags into the
frozen configs taken here; a notebook calls these functions directly.
"""

from jetvae_jax.runs.config import EvaluateConfig, FlowRun, GenerateConfig, VAERun
from jetvae_jax.runs.domains.jets import Data as DataConfig
from jetvae_jax.runs.evaluate import evaluate
from jetvae_jax.runs.fit_flow import fit_flow, load_flow
from jetvae_jax.runs.generate import generate
from jetvae_jax.runs.train import load_vae, train
from jetvae_jax.runs.tune import TuneConfig, read_space, tune

__all__ = [
    "DataConfig",
    "EvaluateConfig",
    "FlowRun",
    "GenerateConfig",
    "TuneConfig",
    "VAERun",
    "evaluate",
    "fit_flow",
    "generate",
    "load_flow",
    "load_vae",
    "read_space",
    "train",
    "tune",
]
