"""Seeds that do not fit are refused: none trains as another one."""

import dataclasses
import pathlib
import re

import jax
import numpy as np
import pytest

from jetvae_jax import data, densities, metrics, models, runs, studies, training
from jetvae_jax.core import configs, seeds
from jetvae_jax.core.errors import InputError
from jetvae_jax.data import splits
from jetvae_jax.densities import copula
from jetvae_jax.jets import domain
from jetvae_jax.losses import distances
from jetvae_jax.making import settings as making
from jetvae_jax.making.zgamma import settings as zgamma
from jetvae_jax.runs.config import CopulaRun, FlowRun, ModelRun

PACKAGE = pathlib.Path(configs.__file__).parent.parent


@pytest.mark.parametrize("seed", [2**32, 2**63, -1, 1.0, True, "3", None])
def test_a_seed_that_does_not_fit_is_refused(seed):
    with pytest.raises(InputError, match=r"^seed: must be"):
        seeds.key(seed)


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, np.int64(5), np.uint32(2**32 - 1)])
def test_every_other_seed_is_that_of_jax(seed):
    key = jax.random.key_data(seeds.key(seed))
    np.testing.assert_array_equal(key, [0, int(seed)])


@pytest.mark.parametrize(
    "config",
    [
        runs.GenerateConfig,
        runs.EvaluateConfig,
        runs.TuneConfig,
        making.Config,
        zgamma.Config,
        studies.find_jets.study.FindConfig,
        studies.signal.classify.ClassifyConfig,
        studies.toys.study.ToysConfig,
    ],
)
@pytest.mark.parametrize("seed", [2**32, -1, 0.5])
def test_configs_refuse_it(config, seed):
    with pytest.raises(InputError, match=r"^seed: must be"):
        config(seed=seed)


def any_run(cls):
    """A run with the seed 3."""
    flow = "realnvp", densities.get("realnvp").Config()
    if cls is FlowRun:
        return FlowRun(*flow, "samples", training.Config(), 3)
    if cls is CopulaRun:
        return CopulaRun(copula.Config(), *flow, training.Config(), 3)
    model = "deepsets_vae", models.get("deepsets_vae").Config()
    loss = "chamfer", distances.get("chamfer").Config()
    parts = domain.Data(), domain.Scaling(), *model, *loss, domain.Objective()
    return ModelRun(*parts, training.Config(), 3)


@pytest.mark.parametrize("cls", [ModelRun, FlowRun, CopulaRun])
def test_runs_refuse_it_and_read_what_was_written_with_it(cls):
    run = any_run(cls)
    values = run.to_json()
    with pytest.raises(InputError, match=r"^seed: must be between 0 and 4294967295"):
        dataclasses.replace(run, seed=2**32)
    # Earlier versions took such a seed and used its last 32 bits.
    assert cls.from_json(values | {"seed": 2**32 + run.seed}) == run


def test_seeds_of_data_have_64_bits():
    for seed in (2**64, -1, 0.5):
        with pytest.raises(InputError, match="seed is"):
            data.load("embedded", seed=seed)
        with pytest.raises(InputError, match="split seed is"):
            splits.split(seed, 100)
    with pytest.raises(InputError, match=r"^split_seed: must be between"):
        domain.Data(split_seed=2**64)


def test_the_seed_of_a_protocol():
    jets = data.load("embedded", max_jets=4).jets
    protocol = metrics.Protocol("p", seed=2**32)
    with pytest.raises(InputError, match=r"^seed: must be between"):
        metrics.evaluate(None, jets, jets, protocol=protocol)


def test_keys_of_given_seeds_are_made_in_one_place():
    """``jax.random.key`` of anything but a number or a constant drops bits silently."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        if path.name == "seeds.py":
            continue
        for argument in re.findall(
            r"random\.(?:key|PRNGKey)\(([^()]*)", path.read_text()
        ):
            if not re.fullmatch(r"\d+|[A-Z_]+", argument):
                found.append(f"{path.name}: {argument}: use core.seeds.key")
    assert not found
