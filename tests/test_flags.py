"""Every Config becomes flags and comes back; every flagfile parses."""

import dataclasses
import pathlib
import subprocess
import sys
from typing import Literal

import pytest
from absl import flags as absl_flags

from jetvae_jax import densities, models, runs, training
from jetvae_jax.core import configs
from jetvae_jax.core.errors import InputError
from jetvae_jax.losses import distances
from jetvae_jax.runs import domains

ROOT = pathlib.Path(__file__).parent.parent
CONFIGS = {
    "train": training.Config,
    "generate": runs.GenerateConfig,
    "evaluate": runs.EvaluateConfig,
}
for road in map(domains.get, domains.names()):
    kinds = {"data": road.Data, "scaling": road.Scaling, "objective": road.Objective}
    CONFIGS |= {road.GROUPS[kind]: config for kind, config in kinds.items()}
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
# Flagfiles of a script that makes data name its flags, --make.num_jets say.
MADE = [path for path in FLAGFILES if "\n--make." in path.read_text()]
PARSE = """
import sys
sys.path.insert(0, "experiments")
from absl.testing import flagsaver
import _cli
_cli.define_flags()
for path in sys.argv[1:]:
    with flagsaver.flagsaver():
        _cli.FLAGS(["pipeline.py", f"--flagfile={path}", "--workdir=x"])
        _cli.vae_run(), _cli.flow_run(), _cli.generate_config(), _cli.evaluate_config()
"""


def test_every_flagfile_describes_a_run():
    made = [sys.executable, "experiments/make_jets.py", "--only_check_args"]
    commands = [[sys.executable, "-c", PARSE, *set(FLAGFILES) - set(MADE)]]
    commands += [[*made, f"--flagfile={path}", "--workdir=x"] for path in MADE]
    for command in commands:
        result = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert result.returncode == 0, result.stderr
