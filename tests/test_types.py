"""The type of a jet, its class, as a condition: read, split, scaled, asked for."""

import dataclasses
import json
import re
import types
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax import data, runs, training
from jetvae_jax.core import configs
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.data.splits import split, split_classes
from jetvae_jax.densities import contexts
from jetvae_jax.densities.contexts import ContextRequest
from jetvae_jax.jets import domain, evaluation, scaling
from jetvae_jax.losses.distances import chamfer
from jetvae_jax.metrics.inputs import EvaluateConfig, no_condition
from jetvae_jax.models import autoregressive_vae, conv_vae, deepsets_vae, mlp_vae
from jetvae_jax.runs import dataset
from jetvae_jax.runs.training import prepare

FIGURES = "none"

N = 6
TYPES = ("g", "q", "t")
NUMBERS = {"g": 120, "q": 60, "t": 60}


@pytest.fixture
def folder(make_jetnet, tmp_path):
    """A folder of JetNet files, one a class; the pt of tops is 300 GeV higher."""

    def higher(arrays):
        arrays["jet_features"][:, 0] += 300

    for i, (name, number) in enumerate(NUMBERS.items()):
        spoil = higher if name == "t" else None
        make_jetnet(f"{name}.hdf5", num_jets=number, seed=i, spoil=spoil)
    return str(tmp_path)


def alone(folder, name):
    return data.load(f"{folder}/{name}.hdf5", num_particles=N, jet_type=name)


def test_several_classes_are_those_of_their_files_with_their_labels(folder):
    loaded = data.load(folder, num_particles=N, jet_type=("t", "g"))
    for label, name in enumerate("tg"):
        mine = jax.tree.map(lambda a, i=label: a[loaded.jets.labels == i], loaded.jets)
        jax.tree.map(
            np.testing.assert_array_equal,
            mine._replace(labels=None), alone(folder, name).jets,
        )  # fmt: skip
    assert np.asarray(loaded.jets.labels).dtype == np.int32
    assert loaded.source["classes"] == {"t": 60, "g": 120}
    assert loaded.source["jets"] == 180 and loaded.source["jet_type"] == "t,g"
    assert any("60 of class t, 120 of class g" in note for note in loaded.notes)
    listed = f"{folder}/g.hdf5,{folder}/t.hdf5"
    named = data.load(listed, num_particles=N, jet_type=("t", "g"))
    jax.tree.map(np.testing.assert_array_equal, named.jets, loaded.jets)
    few = data.load(folder, num_particles=N, jet_type=("t", "g"), max_jets=5)
    np.testing.assert_array_equal(np.bincount(np.asarray(few.jets.labels)), [5, 5])
    assert data.load(folder, jet_type=("t",)).jets.labels is None


def test_classes_that_a_file_tells_apart(make_hls4ml):
    path = str(make_hls4ml(classes="gqqtwt"))
    loaded = data.load(path, num_particles=N, jet_type=("t", "q"))
    np.testing.assert_array_equal(loaded.jets.labels, [0, 0, 1, 1])
    one = data.load(path, num_particles=N, jet_type="q").jets
    np.testing.assert_array_equal(loaded.jets.particles[2:], one.particles)


def test_classes_of_a_user_are_the_names_of_the_files(make_jetnet, tmp_path):
    for i, name in enumerate(("zprime_1", "zprime_2", "qcd", "z")):
        make_jetnet(f"{name}.hdf5", num_jets=i + 2, seed=i)
    loaded = data.load(str(tmp_path), num_particles=N, jet_type=("qcd", "zprime", "z"))
    assert loaded.source["classes"] == {"qcd": 4, "zprime": 5, "z": 5}
    one = data.load(str(tmp_path / "qcd.hdf5"), num_particles=N, jet_type="qcd")
    assert len(one.jets.mask) == 4 and one.source["jet_type"] == "qcd"


@pytest.mark.parametrize(
    ("path", "names", "message"),
    [
        ("", ("g", "w"), r"no file of class 'w' \(such as w\.hdf5\) among g\.hdf5"),
        ("g.hdf5", ("g", "t"), "class 't' .* give a folder with a file of each"),
        ("", ("g", "gluon"), "jet_type is 'gluon': choose one of g, q, t, w, z"),
        ("g.hdf5,x.hdf5", ("g", "t"), r"x\.hdf5: no such file"),
    ],
)
def test_a_class_without_a_file_is_named(folder, path, names, message):
    spec = ",".join(f"{folder}/{part}" for part in path.split(","))
    with pytest.raises(InputError, match=message):
        data.load(spec, num_particles=N, jet_type=names)
    with pytest.raises(InputError, match="jet_type is empty"):
        data.load(spec, jet_type=())


def test_one_class_under_two_names_is_refused(make_jetnet, tmp_path):
    make_jetnet("g.hdf5")
    make_jetnet("q.hdf5")
    with pytest.raises(InputError, match="of the classes g and q are the same"):
        data.load(str(tmp_path), num_particles=N, jet_type=("g", "q"))


def test_each_class_is_split_as_if_it_were_alone():
    labels = np.repeat([0, 1, 2], [40, 100, 21])
    parts = split_classes(7, labels)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    for label, start in ((0, 0), (1, 40), (2, 140)):
        single = split(7, np.sum(labels == label))
        for mine, whole in zip(single, parts, strict=True):
            own = whole[labels[whole] == label]
            assert sorted(own - start) == sorted(mine)
    # Shuffled together: the first half of the training part has all classes.
    first = labels[parts.train[: len(parts.train) // 2]]
    assert np.all(np.bincount(first, minlength=3) > 3)
    again = split_classes(7, labels)
    jax.tree.map(np.testing.assert_array_equal, again, parts)


def data_of(folder, **changes):
    return domain.Data(folder, jet_type=TYPES, num_particles=N, **changes)


def test_settings_that_do_not_go_together():
    with pytest.raises(InputError, match=r"^jet_type: names g twice"):
        domain.Data(jet_type=("g", "g"))
    with pytest.raises(InputError, match=r"^jet_type: must be a word, got 'g=1'"):
        domain.Data(jet_type=("g=1",))
    with pytest.raises(InputError, match=r"^stream: holds one class, .*g, q, t"):
        domain.Data(jet_type=TYPES, stream=True)
    with pytest.raises(InputError, match=r"--scaling\.conditions=type: .*one class, g"):
        domain.resolved(domain.Data(), scaling.Config(conditions=("type",)))
    old = configs.from_json(domain.Data, {"jet_type": "t"})  # of an earlier version
    assert old == domain.Data(jet_type=("t",))


CONFIG = scaling.Config(
    coordinates="relative", method="none", axis="jet", conditions=("pt", "type", "eta")
)


def ready(folder, config=CONFIG):
    """The training part, the scaling and the scaler."""
    settings, config = domain.resolved(data_of(folder), config)
    train = domain.load(settings).train
    return train, config, domain.fit(config, train)


def test_the_type_is_one_hot_and_the_others_are_scaled(folder):
    train, config, scaler = ready(folder)
    assert config.types == TYPES
    assert config.condition_columns == ("pt", *["type"] * 3, "eta")
    scale = jax.jit(lambda jets: scaling.scale(config, scaler, jets))
    condition = np.asarray(scale(train).context.condition)
    np.testing.assert_array_equal(condition[:, 1:4], np.eye(3)[train.labels])
    pt = train.axis[:, 0].astype(np.float64)
    np.testing.assert_allclose(
        condition[:, 0], (pt - pt.mean()) / pt.std(), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_array_equal(scaling.class_of(config, condition), train.labels)
    mapped = jax.vmap(lambda jets: scaling.scale(config, scaler, jets))(train)
    np.testing.assert_allclose(
        mapped.context.condition, condition, rtol=1e-6, atol=1e-6
    )
    with pytest.raises(InputError, match="classes of these jets are not known"):
        scaling.scale(config, scaler, train._replace(labels=None))


def drawn(folder, num=400, source: Literal["data", "density"] = "data", **asked):
    train, config, scaler = ready(folder)
    sampler = domain.contexts(config, scaler, ContextRequest(source, asked))
    return train, config, jax.device_get(sampler(jax.random.key(0), num))


def test_contexts_of_a_type_are_of_training_jets_of_that_class(folder):
    train, config, context = drawn(folder, type=2.0)
    assert np.all(scaling.class_of(config, context.condition) == 2)
    tops = {tuple(axis) for axis in train.axis[train.labels == 2]}
    assert {tuple(axis) for axis in context.axis} == tops
    _, config, context = drawn(folder)
    labels = np.asarray(scaling.class_of(config, context.condition))
    found = set(zip(map(tuple, context.axis), labels, strict=True))
    assert found <= set(zip(map(tuple, train.axis), train.labels, strict=True))
    shares = np.bincount(labels) / len(labels)
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.25], atol=0.1)


def test_a_given_pt_is_of_the_class_that_is_asked_for(folder):
    # A pt that gluons and quarks have, not tops.
    _, config, context = drawn(folder, type=2.0, pt=1000.0)
    np.testing.assert_allclose(context.axis[:, 0], 1000)
    assert np.all(scaling.class_of(config, context.condition) == 2)


@pytest.mark.parametrize(
    "asked", [pytest.param({}, marks=pytest.mark.slow), {"type": 0.0}]
)
def test_each_class_has_a_density_of_its_own(folder, asked):
    train, config, context = drawn(folder, 2000, "density", **asked)
    labels = np.asarray(scaling.class_of(config, context.condition))
    first = context.condition[:, 1:4]
    np.testing.assert_array_equal(first, np.eye(3)[labels])
    for label in range(3) if not asked else [0]:
        real = train.axis[train.labels == label, 0]
        assert abs(np.mean(context.axis[labels == label, 0]) - real.mean()) < 30
    shares = np.bincount(labels, minlength=3) / len(labels)
    np.testing.assert_allclose(
        shares, [1, 0, 0] if asked else [0.5, 0.25, 0.25], atol=0.04
    )


def test_the_value_of_a_type_is_a_name():
    known = {"type": TYPES, "pt": ()}
    texts = ("type=t", "pt=1000")
    assert contexts.parsed(texts, known, "x") == {"type": 2, "pt": 1000}
    with pytest.raises(InputError, match=r"--x=type=w: .* the classes g, q, t$"):
        contexts.parsed(("type=w",), known, "x")
    with pytest.raises(InputError, match=r"--x=mass=1: .*it has type, pt"):
        contexts.parsed(("mass=1",), known, "x")


def run_of(folder, name, **changes):
    """The smallest run of a model on three classes."""
    relative = {"coordinates": "relative", "axis": "jet"}
    config, scaled = {
        "autoregressive_vae": (
            autoregressive_vae.Config(
                width=16, num_layers=1, latent_dim=2, encoder_width=16,
                encoder_layers=1, pt_components=2, angle_components=2,
            ),
            relative | {"method": "none"},
        ),
        "conv_vae": (conv_vae.Config(filters=(4,), hidden=(8,)), {}),
        "deepsets_vae": (
            deepsets_vae.Config(latent_dim=2), relative | {"method": "standard"}
        ),
        "mlp_vae": (mlp_vae.Config(nodes=8, latent_dim=2), {"method": "standard"}),
    }[name]  # fmt: skip
    return runs.ModelRun(
        data=data_of(folder),
        scaling=scaling.Config(conditions=("type", "pt"), **scaled),
        model=name,
        model_config=config,
        loss="chamfer",
        loss_config=chamfer.Config(),
        objective=domain.Objective(form="classic", beta=1.0),
        training=training.Config(num_epochs=1, batch_size=40, **changes),
    )


@pytest.mark.parametrize(
    "name",
    [
        "mlp_vae",
        pytest.param("autoregressive_vae", marks=pytest.mark.slow),
        pytest.param("conv_vae", marks=pytest.mark.slow),
        pytest.param("deepsets_vae", marks=pytest.mark.slow),
    ],
)
def test_every_model_of_jets_depends_on_the_type(folder, name):
    run = run_of(folder, name)
    assert run.model_config.num_conditions == 4
    again = runs.ModelRun.from_json(run.to_json())
    assert again == run and again.scaling.types == TYPES
    ready = prepare(run)
    params = ready.model.init(jax.random.key(0))
    batch = jax.tree.map(lambda a: a[:20], ready.valid)
    loss = jax.jit(lambda batch: ready.model.loss(params, jax.random.key(1), batch)[0])
    other = jnp.roll(batch.context.condition[:, :3], 1, axis=-1)
    condition = jnp.concatenate([other, batch.context.condition[:, 3:]], axis=-1)
    context = batch.context._replace(condition=condition)
    assert np.all(loss(batch) != loss(batch._replace(context=context)))


@pytest.mark.slow
def test_a_training_on_several_classes_resumes_exactly(folder, tmp_path):
    run = run_of(folder, "mlp_vae")
    run = dataclasses.replace(
        run, training=training.Config(num_epochs=2, batch_size=40)
    )

    class Killed(BaseException):
        pass

    def kill(history):
        if len(history) == 1:
            raise Killed

    with pytest.raises(Killed):
        runs.train(tmp_path / "a", run, on_epoch=kill)
    dataset._load.cache_clear()  # as in a new process
    resumed = runs.train(tmp_path / "a", run)
    whole = runs.train(tmp_path / "b", run)
    jax.tree.map(np.testing.assert_array_equal, resumed.params, whole.params)
    assert len(resumed.history) == 2
    trained = runs.load_model(tmp_path / "a")
    assert trained.run == run and trained.run.scaling.types == TYPES
    columns = np.asarray(trained.scaler.conditions)[:, :3]
    np.testing.assert_allclose(columns.mean(0), [0.5, 0.25, 0.25])


def test_a_column_of_a_user_is_the_class(tmp_path, run_script):
    rng = np.random.default_rng(0)
    p = rng.normal(0, 100, (90, N, 3)).astype(np.float32)
    label, good = rng.integers(0, 3, 90), rng.integers(0, 2, 90)
    label[good == 0] = 9  # of jets that are not selected
    path = tmp_path / "mine.npz"
    np.savez(path, x=p, label=label, good=good)
    where = ("px=x[0]", "py=x[1]", "pz=x[2]", "unit=GeV", "select=good:1")
    where += ("type=label:qcd:top:w",)
    loaded = data.load(
        str(path), num_particles=N, jet_type=("top", "qcd"), columns=where
    )
    counts = np.bincount(label)
    assert loaded.source["classes"] == {"top": counts[1], "qcd": counts[0]}
    order = np.argsort(-np.hypot(*p[..., :2].transpose(2, 0, 1)), axis=1)
    falling = np.take_along_axis(p, order[..., None], axis=1)
    np.testing.assert_array_equal(
        loaded.jets.particles, np.concatenate([falling[label == i] for i in (1, 0)])
    )
    with pytest.raises(InputError, match=r"classes qcd, top, w, none of type 'g'"):
        data.load(str(path), num_particles=N, columns=where)
    for wrong in ("label", "label:qcd:qcd", "label:", ":qcd"):
        with pytest.raises(InputError, match=r"columns: type=.*as label:qcd:top"):
            data.load(str(path), columns=(*where[:-1], f"type={wrong}"))
    done = run_script(
        "inspect_jets", f"--inspect.path={path}", "--inspect.jet_type=top",
        f"--inspect.columns={','.join(where)}",
    )  # fmt: skip
    assert re.search(r"class looked at +top", done.stdout)
    done = run_script(
        "inspect_jets", f"--inspect.path={path}", "--inspect.jet_type=z1",
        f"--inspect.columns={','.join(where)}",
    )  # fmt: skip
    assert done.returncode == 2 and "jet_type is 'z1'" in done.stderr


LABELLED = ["jets.hdf5", "jets.parquet", "jets.root", "jets.npz"]


@pytest.mark.parametrize("name", LABELLED)
def test_written_files_state_the_class_of_each_jet(make_jets, tmp_path, name):
    for package in {"parquet": ["pyarrow"], "root": ["uproot"]}.get(name[5:], []):
        pytest.importorskip(package)
    labels = np.random.default_rng(0).integers(0, 3, 2500)
    jets = make_jets(2500, N)._replace(labels=labels)
    path = str(tmp_path / name)
    names = ("qcd", "g", "zprime")
    with data.writing.writer(path, num_particles=N, types=names) as writer:
        for rows in np.split(np.arange(2500), [7, 1500]):
            writer.append(jax.tree.map(lambda a, rows=rows: a[rows], jets))
    with data.loading.opened(path) as file:
        counts = dict(zip(names, np.bincount(labels).tolist(), strict=True))
        assert file.types == names and file.classes() == counts
    for place, kind in enumerate(names):
        own = data.load(path, num_particles=N, jet_type=kind).jets
        np.testing.assert_allclose(
            own.particles, jets.particles[labels == place], rtol=1e-4, atol=2e-3
        )
    two = data.load(path, num_particles=N, jet_type=("zprime", "g"), max_jets=30)
    np.testing.assert_array_equal(np.bincount(np.asarray(two.jets.labels)), [30, 30])
    with pytest.raises(InputError, match=r"classes g, qcd, zprime, none of type 't'"):
        data.load(path, num_particles=N, jet_type="t")
    found = data.loading.load_judged(path, num_particles=N, jet_type=None)
    assert len(found.jets.mask) == 2500


def test_labels_are_needed_where_classes_are_written(make_jets, tmp_path):
    writer = data.writing.writer(tmp_path / "x.hdf5", num_particles=N, types=TYPES)
    with pytest.raises(ValueError, match="need labels"), writer:
        writer.append(make_jets(3, N))
    assert not list(tmp_path.iterdir())


def test_a_class_that_is_none_of_the_file(make_jets, tmp_path):
    jets = make_jets(4, N)._replace(labels=np.array([0, 7, 1, 2]))
    path = tmp_path / "x.hdf5"
    with data.writing.writer(path, num_particles=N, types=TYPES) as writer:
        writer.append(jets)
    with pytest.raises(InputError, match=r"jet_type: row 1: the class is none of"):
        data.load(str(path), num_particles=N, jet_type="g")
    assert len(data.load(str(path), jet_type="g", repair=True).jets.mask) == 1


SMALLEST = (
    "--model=mlp_vae", "--mlp_vae.nodes=8", "--mlp_vae.latent_dim=2",
    "--data.jet_type=g,q,t", f"--data.num_particles={N}", "--scaling.axis=jet",
    "--scaling.coordinates=relative", "--scaling.method=standard",
    "--scaling.conditions=type,pt", "--train.num_epochs=1", "--train.batch_size=40",
    "--fit.num_epochs=1", "--fit.batch_size=40", "--realnvp.num_couplings=2",
    "--realnvp.hidden=8", "--evaluate.protocols=epic_5k",
)  # fmt: skip


def script(run_script, name, *arguments):
    done = run_script(name, *arguments)
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.mark.slow
def test_one_run_trains_and_generates_each_class(folder, run_script, tmp_path_factory):
    work = tmp_path_factory.mktemp("run")
    script(run_script, "train", *SMALLEST, f"--workdir={work}", f"--data.path={folder}")
    for asked, number in (("", 60), ("type=t", 10), ("type=q,pt=900", 10)):
        script(
            run_script, "generate", f"--workdir={work}", "--generate.latents=prior",
            f"--generate.num_jets={number}", f"--generate.condition={asked}",
        )  # fmt: skip
        path = work / "generated_prior.hdf5"
        with data.loading.opened(path) as file:
            counts = file.classes()
        if asked:
            assert counts == dict.fromkeys(TYPES, 0) | {asked[5]: 10}
            loaded = data.load(str(path), num_particles=N, jet_type=asked[5])
            pt = np.asarray(loaded.axis)[:, 0]
            tops = domain.load(data_of(folder)).train
            known = tops.axis[tops.labels == 2, 0]
            if asked == "type=t":
                assert set(np.round(pt, 2)) <= set(np.round(known, 2))
            else:
                np.testing.assert_allclose(pt, 900, rtol=1e-5)
        else:
            assert counts["g"] > counts["q"] > 0 < counts["t"]
    for wrong, message in (
        ("type=w", "this model was trained on the classes g, q, t"),
        ("mass=3", "'mass' is not a condition of this model; it has type, pt"),
        ("type", "write name=value"),
    ):
        done = run_script(
            "generate", f"--workdir={work}", "--generate.latents=prior",
            f"--generate.condition={wrong}",
        )  # fmt: skip
        assert done.returncode == 2 and message in done.stderr
    over = run_script(
        "generate", f"--workdir={work}", "--generate.latents=prior",
        f"--generate.output={folder}/t.hdf5",
    )  # fmt: skip
    assert over.returncode == 2 and "is data of this run" in over.stderr

    trained = runs.load_model(work)
    script(run_script, "generate", f"--workdir={work}", "--generate.latents=prior")
    found = {}
    for asked in ((), ("type=t",)):
        config = EvaluateConfig(condition=asked)
        found[asked] = evaluation.gather(Workdir(work), trained, config, domain.Data())
    both, tops = found.values()
    assert (both.jet_type, tops.jet_type) == ("g,q,t", "t")
    parts = trained.data()
    assert len(both.real.mask) == 36 and len(both.candidates["prior"].mask) == 36
    np.testing.assert_array_equal(
        tops.real.particles, parts.test.particles[parts.test.labels == 2]
    )
    assert len(tops.truth.mask) == 42
    assert tops.axes["prior"][:, 0].min() > both.axes["real"][:, 0].mean()
    assert any("compared together" in note for note in both.notes)
    assert evaluation._latents(trained, tops.real)["posterior"].shape == (9, 2)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (("type=w",), "type=w: this model was trained on the classes g, q, t"),
        (("pt=3",), "pt=3: name one class of jets, such as type=t"),
        (("type=g", "type=q"), "name one class of jets, such as type=t"),
    ],
)
def test_a_class_to_compare_that_there_is_not(folder, condition, message):
    trained = types.SimpleNamespace(run=run_of(folder, "mlp_vae"))
    config = EvaluateConfig(condition=condition)
    with pytest.raises(InputError, match=message):
        evaluation.classes(trained, config, domain.Data())
    with pytest.raises(InputError, match=r"name it by --data\.jet_type=t"):
        evaluation.classes(None, EvaluateConfig(condition=("type=t",)), domain.Data())
    plain = scaling.Config(coordinates="relative")
    trained.run = dataclasses.replace(trained.run, scaling=plain)
    with pytest.raises(InputError, match="trained without the type as a condition"):
        evaluation.classes(
            trained, EvaluateConfig(condition=("type=g",)), domain.Data()
        )
    with pytest.raises(InputError, match="only jets are compared class by class"):
        no_condition(EvaluateConfig(condition=("digit=3",)))


@pytest.mark.slow
def test_each_class_of_one_run_has_its_report(folder, run_script, tmp_path_factory):
    work = tmp_path_factory.mktemp("run")
    flags = (f"--workdir={work}", f"--data.path={folder}")
    script(run_script, "pipeline", *SMALLEST, *flags)
    whole = json.loads((work / "evaluation.json").read_text())
    answers = whole["responses"]["conditions"]
    assert list(answers["pt"]["groups"]) == list(answers["type"]["classes"])
    for entry in answers["pt"]["groups"].values():
        response = entry["quantities"]["pt_response"]
        assert sum(response["generated"]["count"]) > sum(response["real"]["count"]) > 0
        assert entry["beyond"][0] and entry["beyond"][-1]
    page = (work / "report.html").read_text()
    assert "In bins of the conditions" in page and "pt, class q" in page
    assert "In bins of the conditions" in (work / "evaluation.txt").read_text()
    flow = runs.load_model(work).density("flow")
    conditions = np.concatenate([np.eye(3), np.zeros((3, 1))], 1).astype(np.float32)
    assert len(set(np.asarray(flow.log_prob(np.ones((3, 2)), conditions)))) == 3
    for name in TYPES:
        asked = f"--evaluate.condition=type={name}"
        out = script(run_script, "evaluate", *SMALLEST, f"--workdir={work}", asked)
        report = work / f"type={name}" / "report.html"
        assert out.splitlines()[-1] == str(report) and report.exists()
        result = json.loads(report.with_name("evaluation.json").read_text())
        assert result["jet_type"] == name
        assert set(result["candidates"]) == {"reconstruction", "prior", "flow"}
        assert result["jets"] < whole["jets"] == 36
        assert list(result["responses"]["conditions"]["pt"]["groups"]) == [name]
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    out = script(
        run_script, "evaluate", *SMALLEST, f"--workdir={work}", asked,
        f"--evaluate.output={elsewhere}",
    )  # fmt: skip
    assert out.splitlines()[-1] == str(elsewhere / "report.html")
