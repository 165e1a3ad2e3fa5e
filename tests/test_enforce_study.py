"""The price of an observable in the loss: candidates, changes, words, the script."""

import json

import numpy as np
import pytest

from jetvae_jax import models, runs, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.jets import domain, scaling
from jetvae_jax.losses import objective
from jetvae_jax.losses.distances import chamfer
from jetvae_jax.metrics.suite.sample import Sample
from jetvae_jax.studies.enforce import study
from jetvae_jax.studies.enforce.study import NONE, SHOWN, candidates
from jetvae_jax.studies.trainings import Candidate


def base(**changes):
    settings = {
        "data": domain.Data(max_jets=100),
        "scaling": scaling.Config(),
        "model": "conv_vae",
        "model_config": models.get("conv_vae").Config(),
        "loss": "chamfer",
        "loss_config": chamfer.Config(),
        "objective": objective.Config(observables=("efp2",), alpha_soft=3.0),
        "training": training.Config(),
    }
    return Candidate("x", runs.ModelRun(**settings | changes), "prior", None)


def test_candidates_differ_by_their_observable_alone():
    found = {one.name: one.vae for one in candidates(base(), ("mass", "c2"), 7.0)}
    assert list(found) == [NONE, "mass", "c2"]
    for name, run in found.items():
        held = run.objective
        assert held.gamma_pt == held.gamma_mass == 0 and held.alpha_soft == 3
        expected = {} if name == NONE else {name: 7.0}
        assert held.observable_weights == expected
    with pytest.raises(InputError, match="did you mean 'width'"):
        candidates(base(), ("widht",), 1.0)
    without = base(objective=objective.Config(gamma=0.0))
    with pytest.raises(InputError, match="leaves all observables out"):
        candidates(without, ("mass",), 1.0)


def results(effects, seeds=4, noise=0.0):
    """Distances of trainings: 0.2 without, times the effect with an observable."""
    rng = np.random.default_rng(0)
    common = rng.uniform(0.1, 0.3, seeds)  # of a seed, the same for all models
    found = {}
    for name, effect in effects.items():
        found[name] = [
            {"w1": {o: c * effect.get(o, 1.0) * np.exp(noise * rng.normal())
                    for o in SHOWN}} for c in common
        ]  # fmt: skip
    return found


def test_changes_are_of_the_same_seed():
    found = results({NONE: {}, "mass": {"mass": 0.5, "d2": 1.3}})
    one = study.change(found, "mass", "mass", "w1")
    assert one.after == pytest.approx(0.5 * one.before) and one.sure
    # Though the seeds differ by more than the change.
    before = [each["w1"]["mass"] for each in found[NONE]]
    assert np.std(before) > 0.2 * abs(one.difference)
    assert study.change(found, "mass", "d2", "w1").difference > 0
    same = study.change(found, "mass", "ptd", "w1")
    assert same.difference == 0 and not same.sure
    # Of equal differences rounding leaves 1e-17: no error, by which nothing is sure.
    ks = {NONE: (0.3, 0.7), "mass": (0.3 + 0.1, 0.7 + 0.1), "d2": (0.1 * 3, 0.7)}
    found = {n: [{"ks": {"mass": v}} for v in values] for n, values in ks.items()}
    for name, size in (("mass", 0.1), ("d2", 0)):
        one = study.change(found, name, "mass", "ks")
        assert one.difference == pytest.approx(size) and one.error == 0 and not one.sure
    alone = results({NONE: {}, "mass": {"mass": 0.5}}, seeds=1)
    assert not study.change(alone, "mass", "mass", "w1").sure


def test_the_verdict_counts_what_is_held_out():
    found = results({NONE: {}, "mass": {"mass": 0.5, "d2": 1.3, "ptd": 0.9}})
    held = {"mass": ["mass"]}
    changes = {o: study.change(found, "mass", o, "w1") for o in SHOWN}
    result = {
        "seeds": [0, 1, 2, 3], "validation_jets": 3000, "distances": found,
        "no_check": held, "changes": {"w1": {"mass": {
            o: c._asdict() | {"sure": c.sure} for o, c in changes.items()}}},
    }  # fmt: skip
    said = study.verdict(result)
    assert "multiplied by 0.50 ± 0.00 in the mean" in said
    others = np.exp(np.log([1.3, 0.9]).sum() / (len(SHOWN) - 1))
    assert f"those that are held out by {others:.2f} ± 0.00" in said
    assert f"of {len(SHOWN) - 1} distances that are held out, 1 improve" in said
    assert "1 get worse" in said


def test_distances_of_a_shift(make_jets):
    real = make_jets(num_jets=400, num_particles=6)
    moved = Jets(1.5 * real.particles, real.mask)
    found = study.distances_of(Sample("a", moved), Sample("b", real))
    pt = Sample("b", real).jet["pt"]
    # Every pt is larger by half: so is their mean.
    assert found["w1"]["pt"] == pytest.approx(0.5 * pt.mean() / pt.std(), rel=1e-4)
    assert found["ks"]["pt"] > 0.2
    assert found["w1"]["tau21"] == pytest.approx(0, abs=1e-4)  # angles are the same


TINY = (
    "--enforce.seeds=2", "--enforce.observables=mass,width", "--data.max_jets=300",
    "--train.num_epochs=1", "--fit.num_epochs=1", "--conv_vae.hidden=8",
    "--conv_vae.filters=4", "--train.batch_size=50", "--fit.batch_size=50",
    "--realnvp.num_couplings=2", "--realnvp.hidden=8",
)  # fmt: skip


@pytest.mark.slow
def test_the_study_end_to_end(tmp_path, run_script):
    command = ("enforce_study", f"--workdir={tmp_path}", *TINY)
    done = run_script(*command)
    assert done.returncode == 0, done.stderr
    said, page = done.stdout.splitlines()
    found = json.loads((tmp_path / "enforce.json").read_text())
    assert said == found["verdict"] and page.endswith("enforce.html")
    assert list(found["distances"]) == [NONE, "mass", "width"]
    assert found["no_check"] == {"mass": ["mass"], "width": ["width"]}
    for name in found["distances"]:
        history = (tmp_path / name / "seed1" / "vae.metrics.jsonl").read_text()
        assert ("width_error" in history) == (name == "width")
    for kind in ("w1", "ks"):
        assert set(found["floor"][kind]) == set(SHOWN)
    assert (tmp_path / "figures" / "enforce.png").stat().st_size > 1000
    assert "in the training loss" in (tmp_path / "enforce.html").read_text()
    # One more observable: those that are there are not trained again.
    more = run_script(*command, "--enforce.observables=mass,width,ptd")
    assert more.returncode == 0 and "8 trainings, 2 to do" in more.stderr
    other = run_script(*command, "--objective.beta=0.3")
    assert other.returncode == 2 and "other settings" in other.stderr
