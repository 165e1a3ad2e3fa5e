"""Models of jets compared: the loop over seeds, tables, effects, the script."""

import json
import pathlib

import numpy as np
import pytest

from jetvae_jax import models, runs, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.images import domain as images
from jetvae_jax.jets import domain, scaling
from jetvae_jax.losses import objective
from jetvae_jax.losses.distances import chamfer
from jetvae_jax.studies import seeds, trainings
from jetvae_jax.studies.jet_models import comparison, results
from jetvae_jax.studies.seeds import Column
from jetvae_jax.studies.trainings import Candidate

pytestmark = pytest.mark.slow  # a study: its wrong flags are tested with the others

FIGURES = "made"


def run(*observables, **changes):
    fields = {
        "data": domain.Data(max_jets=100),
        "scaling": scaling.Config(coordinates="relative", method="standard"),
        "model": "deepsets_vae",
        "model_config": models.get("deepsets_vae").Config(),
        "loss": "chamfer",
        "loss_config": chamfer.Config(),
        "objective": objective.Config(observables=observables),
        "training": training.Config(num_epochs=1),
    }
    return runs.ModelRun(**fields | changes)


class Ended:
    signal_number = 0


@pytest.fixture
def fake_training(monkeypatch):
    """No training: the calls are listed, and the workdir is made."""
    calls = []

    def train(path, vae, log):
        assert not log
        pathlib.Path(path).mkdir(parents=True, exist_ok=True)
        calls.append((path.name, vae.seed))
        return Ended

    monkeypatch.setattr(trainings, "train", train)
    monkeypatch.setattr(trainings, "check", lambda vae: None)
    return calls


def test_what_is_done_is_not_done_again_and_other_settings_are_refused(
    tmp_path, fake_training
):
    def loop(*candidates, numbers=(3, 4), **options):
        return trainings.over_seeds(
            candidates,
            numbers,
            where=lambda c, seed: tmp_path / f"{c.name}{seed}",
            evaluate=lambda path, c: {"value": c.vae.seed, "of": path.name},
            **options,
        )

    one = Candidate("a", run(), "prior", None)
    done = loop(one)
    assert fake_training == [("a3", 3), ("a4", 4)] and not done.signal_number
    assert [r["value"] for r in done.results["a"]] == [3, 4]
    again = loop(one, one._replace(name="b"), numbers=(3, 4, 5))
    assert fake_training[2:] == [("b3", 3), ("b4", 4), ("a5", 5), ("b5", 5)]
    assert [r["of"] for r in again.results["a"]] == ["a3", "a4", "a5"]
    # Refused before anything is trained, the new candidate first among them.
    other = Candidate("a", run("width"), "prior", None)
    with pytest.raises(InputError, match=r"a3: holds a run with other settings"):
        loop(one._replace(name="new"), other)
    assert len(fake_training) == 6
    # Of a version without some fields of today, or without settings.
    path = tmp_path / "a3" / trainings.RESULTS
    stored = json.loads(path.read_text())
    del stored["settings"]["vae"]["objective"]["observables"]
    path.write_text(json.dumps(stored))
    loop(one)
    assert len(fake_training) == 6
    path.write_text(json.dumps({"value": 1}))
    assert loop(one, complete=lambda r: r["value"] > 2).results["a"][0]["value"] == 3
    assert fake_training[6:] == [("a3", 3)]
    # Results that something else has spoilt are neither trained again nor a traceback.
    for text in ("", "{", "[1]", '{"settings": 1}', '{"settings": {"vae": "x"}}'):
        path.write_text(text)
        with pytest.raises(InputError, match=rf"a3/{trainings.RESULTS}: is damaged"):
            loop(one)
    assert len(fake_training) == 7


def test_all_settings_are_checked_before_the_first_training(tmp_path, fake_training):
    checked = []

    def check(vae):
        checked.append(vae.objective.observables)
        if vae.objective.observables:
            raise InputError("wrong")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainings, "check", check)
        with pytest.raises(InputError, match="wrong"):
            trainings.over_seeds(
                [Candidate(n, run(*o), "prior", None) for n, o in
                 (("a", ()), ("b", ("width",)))],
                (0, 1),
                where=lambda c, seed: tmp_path / f"{c.name}{seed}",
                evaluate=lambda path, c: {},
            )  # fmt: skip
    assert checked == [(), ("width",)] and not fake_training


def test_a_signal_ends_the_loop(tmp_path, fake_training, monkeypatch):
    monkeypatch.setattr(Ended, "signal_number", 15)
    done = trainings.over_seeds(
        [Candidate("a", run(), "flow", None)],
        (0, 1),
        where=lambda c, seed: tmp_path / str(seed),
        evaluate=lambda path, c: {},
    )
    assert done.signal_number == 15 and len(fake_training) == 1
    assert not (tmp_path / "0" / trainings.RESULTS).exists()


def made(offset, *, spread=0.01, num=3, only=None):
    """Results of trainings: every metric ``1 + offset``, but for those of ``only``."""
    found = []
    for i in range(num):
        one = {}
        for column in (c for given in results.columns().values() for c in given):
            moved = only is None or column.metric in only
            value = 1 + moved * offset + spread * (i - (num - 1) / 2)
            one.setdefault(column.sample, {})[column.metric] = value
        found.append(one)
    return found


def test_effects_tell_what_was_in_the_loss_from_what_was_not():
    loss = {"deepsets": run(), "more": run("efp3"), "wide": run("width", seed=7)}
    assert not results.effects({"a": made(0), "b": made(0)}, {"a": run(), "b": run()})
    found = {
        "deepsets": made(0.0),
        "more": made(-0.5, only=("efp3", "fpd", "ks_tau21")),
        "wide": made(0.0),
    }
    ((pair, changes),) = results.effects(found, loss).items()
    assert pair == ("deepsets", "more")  # the seed of "wide" is another one
    held = {c.column.metric for c in changes if c.held}
    assert held == {"efp3", "fpd", "mass", "pt", "w1m", "ks_mass"}
    by_name = {(c.column.sample, c.column.metric): c for c in changes}
    tau = by_name["flow", "ks_tau21"]
    assert tau.before == pytest.approx(1) and tau.after == pytest.approx(0.5)
    assert tau.deviations == pytest.approx(-0.5 / np.hypot(0.01, 0.01))
    not_held, _, in_loss, worse = results.effect_sentences(changes)
    assert "better by more than 2 deviations: 3 of" in not_held
    assert "KS τ₂₁, flow: 1.000 to 0.500" in not_held
    assert "better by more than 2 deviations: 4 of" in in_loss  # FPD three times
    assert "worse by more than 2 deviations: 0 of" in worse
    alone = {name: made(0.1 * i, num=1) for i, name in enumerate(loss)}
    ((_, changes),) = results.effects(alone, loss).items()
    assert "nothing is decided" in results.effect_sentences(changes)[0]


def test_tables_have_the_floor_and_mark_what_was_in_the_loss():
    found, loss = {"plain": made(0.0)}, {"plain": run("efp2")}
    floor = {name: {"w1m": 4e-4, "ks_d2": 0.01} for name in results.GENERATED}
    given = results.columns()[results.GENERATED["flow"]]
    head, rows = results.table(found, loss, given, floor)
    cells = {name: dict(zip(head, row, strict=True)) for name, row in rows}
    assert cells["floor"]["W1M [1e-3]"] == "0.40"
    assert cells["floor"]["FPD [1e-3]"] == "\N{EN DASH}"
    assert cells["plain"]["KS D₂"] == "1.000 ± 0.010"
    assert cells["plain"]["KS jet mass"].endswith("*")
    assert cells["plain"]["FPD [1e-3]"].endswith("*")
    assert not cells["plain"]["W1EFP [1e-5]"].endswith("*")  # of degree 4
    text = results.text(found, loss, floor)
    assert text.count("| plain |") == 4 and "* in the training loss" in text


def test_high_values_can_be_good():
    column = Column("flow", "auc", "AUC", ".1f", 100, high=True)
    found = {n: [{"flow": {"auc": v + d}} for d in (0, 0.01)] for n, v in
             (("a", 0.6), ("b", 0.9))}  # fmt: skip
    (line,) = seeds.best(found, [column])
    assert line.startswith("AUC: b is best, by 30.0")


def test_a_reconstruction_is_compared_with_its_own_jet(make_jets):
    real = make_jets(num_jets=40, num_particles=8)
    same = comparison._paired(real, real)
    assert set(same) == set(results.PAIRED) and not any(same.values())
    # Another jet of the sample in its place is as far as another jet.
    moved = Jets(*(np.roll(a, 1, axis=0) for a in real[:2]))
    np.testing.assert_allclose(list(comparison._paired(real, moved).values()), 1)


def test_models_are_compared_on_the_same_jets():
    other = run(data=domain.Data(max_jets=50))
    with pytest.raises(InputError, match="b: is trained on other data than a"):
        results.check({"a": run(), "b": other})
    pixels = run(
        domain="pixels", data=images.Data(max_images=100), scaling=images.Scaling()
    )
    with pytest.raises(InputError, match="--domain=pixels: models of jets"):
        results.check({"a": pixels})


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--compare.flagfiles=deepset_gluon30", "did you mean 'deepsets_gluon30'"),
        ("--compare.flagfiles=smoke,smoke.txt", "two are called smoke: rename one"),
        ("--compare.seeds=0", "--compare.seeds: must be positive"),
        ("--compare.epochs=2,3", "2 numbers for 1 model: give one for each of efn"),
        ("--objective.observables=multiplicity", "which has no gradient"),
        ("--scaling.coordinates=frame", "--deepsets_vae.encoder=efn: needs pt and"),
    ],
)
def test_wrong_flags_are_one_line(flag, message, tmp_path, run_script):
    done = run_script(
        "compare_jets", f"--workdir={tmp_path / 'w'}", "--data.max_jets=60",
        "--compare.flagfiles=efn_gluon30", flag,
    )  # fmt: skip
    assert done.returncode == 2
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ") and message in line


TINY = (
    "--compare.seeds=2", "--data.max_jets=200", "--train.num_epochs=1",
    "--fit.num_epochs=1", "--deepsets_vae.width=8", "--deepsets_vae.hidden=8",
    "--deepsets_vae.latent_dim=3", "--deepsets_vae.decoder_layers=1",
    "--fit.batch_size=50", "--realnvp.num_couplings=2", "--realnvp.hidden=8",
)  # fmt: skip


def test_compare_end_to_end(tmp_path, run_script):
    names = (
        "deepsets_gluon30", "efn_gluon30", "interaction_gluon30", "deepsets_efp_gluon30"
    )  # fmt: skip
    command = ("compare_jets", f"--workdir={tmp_path}", *TINY)
    # Those of the last flag, not of the one before: another number for each model.
    models = (f"--compare.flagfiles={','.join(names)}", "--compare.epochs=1,2,1,1")
    done = run_script(*command, *models)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "comparison.json").read_text())
    assert tuple(found["metrics"]) == names and found["seeds"] == [0, 1]
    for name in names:
        settings = found["settings"][name]["vae"]
        held = ["efp3"] if "efp" in name else []
        assert settings["objective"]["observables"] == held
        epochs = settings["training"]["num_epochs"]
        assert epochs == (2 if name == "efn_gluon30" else 1)
        encoder = name.split("_")[0]
        assert settings["model"]["encoder"] == encoder
        history = (tmp_path / name / "seed1" / "vae.metrics.jsonl").read_text()
        assert ("efp3_error" in history) == bool(held)
        for one in found["metrics"][name]:
            assert set(one) == {*results.GENERATED, "paired"}
            assert all(np.isfinite(list(part.values())).all() for part in one.values())
    page = (tmp_path / "comparison.html").read_text()
    columns = "".join(f'<th scope="col">{name}</th>' for name in ("floor", *names))
    assert page.count(f'<th scope="col">metric</th>{columns}') == 3
    # A protocol of 50,000 jets on 30: said wherever its values are.
    few = "of 50,000 jets asked for there are 30"
    assert any(few in note for note in found["notes"])
    assert few in page and few in (tmp_path / "comparison.txt").read_text()
    assert "What efp3 in the loss changes" in page and page.count("<img") >= 6
    again = run_script(*command, *models)
    assert again.returncode == 0 and "8 trainings, 0 to do" in again.stderr
    other = run_script(*command, *models, "--objective.beta=0.3")
    assert other.returncode == 2 and "other settings" in other.stderr
