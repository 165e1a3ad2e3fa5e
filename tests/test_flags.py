"""Every Config becomes flags and comes back; every flagfile parses."""

import dataclasses
import math
import pathlib
import re
import typing
from typing import Annotated, Literal

import jax
import numpy as np
import pytest
import showers
from absl import flags as absl_flags
from absl.testing import flagsaver

from jetvae_jax import densities, making, models, runs, training
from jetvae_jax.core import configs
from jetvae_jax.core.configs import PositiveFloat, PositiveInt
from jetvae_jax.core.errors import InputError
from jetvae_jax.images import domain as images
from jetvae_jax.jets import scaling
from jetvae_jax.losses import distances, objective
from jetvae_jax.runs import domains, settings

ROOT = pathlib.Path(__file__).parent.parent
CONFIGS = {
    "train": training.Config,
    "generate": runs.GenerateConfig,
    "evaluate": runs.EvaluateConfig,
}
for domain in map(domains.get, domains.names()):
    kinds = {
        "data": domain.Data,
        "scaling": domain.Scaling,
        "objective": domain.Objective,
    }
    CONFIGS |= {domain.GROUPS[kind]: config for kind, config in kinds.items()}
for package in (models, densities, distances):
    CONFIGS |= {name: package.get(name).Config for name in package.names()}


@dataclasses.dataclass(frozen=True)
class Example:
    """An example.

    Attributes:
        filters: of each layer,
            first to last.
        kind: of sky.
        rate: how fast.
        wet: or not.
    """

    filters: tuple[int, ...] = (1, 2)
    kind: Literal["blue", "grey"] = "blue"
    rate: float = 0.5
    wet: bool = False


def parse(config_class, *arguments):
    values = absl_flags.FlagValues()
    configs.define("x", config_class, flag_values=values)
    values(["program", *arguments])
    return configs.read("x", config_class, values)


def test_values_and_last_wins():
    assert parse(Example) == Example()
    parsed = parse(
        Example, "--x.filters=3,4,5", "--x.filters=8", "--x.kind=grey", "--x.wet"
    )
    assert parsed == Example((8,), "grey", 0.5, True)


def test_help_comes_from_the_docstring():
    assert configs.field_help(Example) == {
        "filters": "of each layer, first to last.",
        "kind": "of sky.",
        "rate": "how fast.",
        "wet": "or not.",
    }


def test_mistakes_are_named():
    with pytest.raises(InputError, match=r"--x\.filters=1,a: expected numbers"):
        parse(Example, "--x.filters=1,a")
    with pytest.raises(absl_flags.IllegalFlagValueError, match=r"blue|grey"):
        parse(Example, "--x.kind=green")
    with pytest.raises(absl_flags.UnrecognizedFlagError, match=r"mean: x\.filters"):
        parse(Example, "--x.filter=1")


@configs.config
class Limited:
    """Fields of every kind that is checked."""

    size: PositiveInt = 1
    rate: Annotated[float, configs.not_negative, configs.finite] = 0.5
    part: Annotated[float, configs.between(0, 1)] = 0.5
    hidden: Annotated[tuple[PositiveInt, ...], configs.not_empty] = (8, 8)
    three: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (1.0, 1.0, 1.0)
    kind: Literal["blue", "grey"] = "blue"
    best: Annotated[int, configs.at_least(2), configs.at_most(4)] | None = None
    names: tuple[Annotated[str, configs.one_of({"beam": 0, "axis": 1})], ...] = ()
    plain: float = 0.0

    def __post_init__(self):
        if self.size > 5 > self.rate:
            raise InputError("size: rate is too low for it")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("size", 0, "size: must be positive, got 0"),
        ("size", "2", "size: has the wrong type, got '2'"),
        ("rate", -0.5, "rate: must not be negative, got -0.5"),
        ("rate", math.inf, "rate: must be finite, got inf"),
        ("rate", math.nan, "rate: must be a number, got nan"),
        ("part", 1.01, "part: must be between 0 and 1, got 1.01"),
        ("part", math.nan, "part: must be a number, got nan"),
        ("plain", math.nan, "plain: must be a number, got nan"),
        ("hidden", (), "hidden: must not be empty, got ()"),
        ("hidden", (8, 0), "hidden: must be positive, got 0"),
        ("three", (1.0, 1.0), "three: must have 3 values, got (1.0, 1.0)"),
        ("three", (1.0, 1.0, math.nan), "three: must be a number, got nan"),
        ("kind", "red", "kind: must be one of blue, grey, got 'red'"),
        ("best", 1, "best: must be at least 2, got 1"),
        ("best", 5, "best: must be at most 4, got 5"),
        (
            "names",
            ("axis", "beem"),
            "names: must be one of beam, axis (did you mean 'beam'?), got 'beem'",
        ),
        ("size", 6, "size: rate is too low for it"),
    ],
)
def test_fields_keep_to_their_type_hints(field, value, message):
    with pytest.raises(InputError) as error:
        Limited(**{field: value})
    assert str(error.value) == message
    with pytest.raises(InputError):
        dataclasses.replace(Limited(), **{field: value})


def test_numpy_scalars_pass_and_nan_of_numpy_does_not():
    Limited(size=np.int64(3), rate=np.float32(0), best=np.int32(4), plain=np.inf)
    with pytest.raises(InputError, match=r"^part: must be between 0 and 1, got"):
        Limited(part=np.float32("nan"))


def test_a_subclass_checks_its_own_fields_and_those_it_inherits():
    @configs.config
    class More(Limited):
        depth: PositiveInt = 1

    for field in ("depth", "size"):
        with pytest.raises(InputError, match=f"^{field}: must be positive, got 0"):
            More(**{field: 0})
    with pytest.raises(InputError, match="rate is too low"):
        More(size=6)


def test_limits_hold_for_flags_and_files():
    with pytest.raises(InputError, match=r"^--x\.hidden: must be positive, got 0$"):
        parse(Limited, "--x.hidden=3,0")
    assert parse(Limited, "--x.best=3", "--x.names=axis").best == 3
    with pytest.raises(InputError, match=r"^size: must be positive, got -1"):
        configs.from_json(Limited, {"size": -1})


@pytest.mark.parametrize("name", CONFIGS)
def test_no_config_takes_nan(name):
    hints = typing.get_type_hints(CONFIGS[name])
    for field in (field for field, kind in hints.items() if kind is float):
        with pytest.raises(InputError, match=f"^{field}: "):
            CONFIGS[name](**{field: math.nan})


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_round_trips_and_is_documented(name):
    config = CONFIGS[name]()
    assert dataclasses.is_dataclass(config)
    fields = [field.name for field in dataclasses.fields(config)]
    assert list(configs.field_help(CONFIGS[name])) == fields
    assert parse(CONFIGS[name]) == config
    assert configs.from_json(CONFIGS[name], dataclasses.asdict(config)) == config
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, (fields or ["x"])[0], None)
    with pytest.raises(InputError, match="does not know colour"):
        configs.from_json(CONFIGS[name], {"colour": 1})


FLAGFILES = sorted((ROOT / "experiments/flagfiles").glob("*.txt"))


@pytest.mark.parametrize("path", FLAGFILES, ids=lambda path: path.stem)
def test_every_flagfile_describes_a_run(path, monkeypatch, tmp_path):
    if "\n--make." in path.read_text():  # of a script that makes data
        values = absl_flags.FlagValues()
        configs.define("make", making.Config, flag_values=values)
        values(["make_jets.py", f"--flagfile={path}"])
        configs.read("make", making.Config, values)
        return
    monkeypatch.syspath_prepend(ROOT / "experiments")
    monkeypatch.chdir(ROOT)
    import _cli

    with flagsaver.flagsaver():
        _cli.define_flags()
        # Showers are none in the package; a later value replaces an earlier one.
        made = showers.write(tmp_path / "made.hdf5", showers.blobs(4))
        given = [f"--flagfile={path}", "--workdir=x", f"--showers.path={made}"]
        settings.parse(["pipeline.py", *given], _cli.FLAGS)
        (
            _cli.model_run(),
            _cli.flow_run(),
            _cli.generate_config(),
            _cli.evaluate_config(),
        )


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("--count=1e3", "--count=1e3: must be a whole number"),
        ("--rate=fast", "--rate=fast: must be a number"),
        ("--quick=maybe", "--quick=maybe: must be true or false"),
    ],
)
def test_a_value_of_another_type_is_refused_in_plain_words(flag, told):
    values = absl_flags.FlagValues()
    absl_flags.DEFINE_integer("count", 1, "", flag_values=values)
    absl_flags.DEFINE_float("rate", 1.0, "", flag_values=values)
    absl_flags.DEFINE_bool("quick", False, "", flag_values=values)
    with pytest.raises(InputError, match=f"^{re.escape(told)}$"):
        settings.parse(["script.py", flag], values)


def test_the_quickstart_is_the_recipe_of_the_results(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    monkeypatch.chdir(ROOT)
    import _cli

    found = {}
    for name in ("quickstart", "convae_gluon30"):
        with flagsaver.flagsaver():
            _cli.define_flags()
            path = ROOT / f"experiments/flagfiles/{name}.txt"
            _cli.FLAGS(["pipeline.py", f"--flagfile={path}", "--workdir=x"])
            found[name] = _cli.model_run()
    small, large = found.values()
    assert small.scaling == large.scaling and small.objective == large.objective
    assert small.scaling.rotate == "principal" and small.scaling.max_angle == 1
    assert (small.model, small.loss) == (large.model, large.loss)
    assert small.data.path == "embedded"


@pytest.mark.parametrize(
    ("config", "old", "new"),
    [
        (objective.Config, {"mask_ghosts": True}, {"mask_padding": True}),
        (scaling.Config, {"ghosts": "away"}, {"padding": "away"}),
        (images.Scaling, {"tell_digit": True}, {"condition_on_digit": True}),
    ],
)
def test_settings_of_earlier_versions_have_their_names_of_today(config, old, new):
    assert configs.from_json(config, old) == config(**new)


@pytest.mark.parametrize(
    ("flag", "new"),
    [
        ("--noobjective.mask_ghosts", "--objective.mask_padding"),
        ("--scaling.ghosts=away", "--scaling.padding"),
        ("--pixel_scaling.tell_digit", "--pixel_scaling.condition_on_digit"),
    ],
)
def test_a_renamed_flag_is_answered_by_its_new_name(run_script, tmp_path, flag, new):
    done = run_script("train", f"--workdir={tmp_path}", flag)
    assert done.returncode == 2
    assert done.stderr.strip().endswith(f"is {new} now")


def test_small_programs_are_kept_for_the_next_start(monkeypatch):
    """A start has many that take less than the second from which JAX keeps them."""
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import _cli

    option = "jax_persistent_cache_min_compile_time_secs"
    before = getattr(jax.config, option)
    for variable, seconds in ((None, 0), ("3", 1)):
        monkeypatch.delenv(option.upper(), raising=False)
        if variable is not None:  # the user's own choice, which JAX has read
            monkeypatch.setenv(option.upper(), variable)
        jax.config.update(option, 1)
        try:
            _cli.keep_compiled()
            assert getattr(jax.config, option) == seconds
        finally:
            jax.config.update(option, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--spline.hidden=64,64"],
            "--spline.hidden: is of --flow=spline, and --flow is realnvp: give "
            "both or neither",
        ),
        (
            ["--nocell_vae.means"],
            "--nocell_vae.means: is of --model=cell_vae, and --mod",
        ),
        (
            ["--pixels.path=x.npz"],
            "--pixels.path: is of --domain=pixels, and --domain is",
        ),
        (
            ["--wandb.project", "jets", "--log=tensorboard"],
            "--wandb.project: is of --log=wandb, and --log is tensorboard: give",
        ),
        (["--deepsets.hidden=8"], "--deepsets.hidden: is of --discriminator=deepsets"),
        (["--flow=spline", "--spline.hidden=64"], ""),
        (["--prior=spline", "--spline.hidden=64"], ""),
        (["--log=tensorboard,wandb", "--wandb.project=jets"], ""),
        (["--data.path", "spline.hidden", "--train.num_epochs=3"], ""),
        (["--flagfile=autoregressive_gluon30", "--flow=realnvp"], ""),
    ],
)
def test_settings_of_what_is_not_chosen_stop_the_run(arguments, message):
    values = absl_flags.FlagValues()
    settings.define_flags(values)
    settings.parse(["train.py", *arguments], values)

    def check():
        settings.check_chosen(arguments, lambda name: values[name].value)

    if not message:
        return check()
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        check()
