"""The settings of a run: the flags that all scripts share, and runs from them.

One flagfile describes a whole run, and each script reads its flags from it. In a
notebook :func:`model_run` and :func:`flow_run` take a flagfile and settings by the
same names.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jetvae_jax import densities, discriminators, models, training
from jetvae_jax.core import configs, flagfiles
from jetvae_jax.core.errors import InputError, did_you_mean
from jetvae_jax.densities import copula
from jetvae_jax.losses import distances
from jetvae_jax.metrics.inputs import EvaluateConfig
from jetvae_jax.models import adversarial
from jetvae_jax.models.vae import NONE, Components
from jetvae_jax.runs import domains
from jetvae_jax.runs.config import DERIVED, FlowRun, GenerateConfig, ModelRun
from jetvae_jax.training import logs

if TYPE_CHECKING:
    from absl import flags

PLUGINS = {
    models: ("model",),
    distances: ("loss",),
    densities: ("flow", "prior"),
    discriminators: ("discriminator",),
}
"""Packages of modules with settings, and the flags that choose among the modules."""
FLOW_TRAINING = {"num_epochs": 100, "batch_size": 500, "patience": 15}
"""Defaults of --fit, where they are not those of a training."""

Value = Callable[[str], Any]
"""``(name) -> value`` of a flag that belongs to no Config."""
Read = Callable[[str, Any], Any]
"""``(prefix, Config class) -> its instance``."""


def define_flags(values: "flags.FlagValues") -> None:
    """Define the flags of a run.

    Args:
        values: where to define them.
    """
    from absl import flags

    here: dict[str, Any] = {"flag_values": values}
    configs.define_path("workdir", None, "folder of all files of one run", **here)
    flags.DEFINE_integer(
        "seed", 0, "seed of training and of the flow's fit",
        lower_bound=0, upper_bound=configs.MAX_SEED, **here,
    )  # fmt: skip
    flags.DEFINE_integer(
        "devices", 0, "devices to use, such as GPUs; 0 for all of this computer",
        lower_bound=0, **here,
    )  # fmt: skip
    flags.DEFINE_string(
        "hosts", "", "of train, fit_flow and generate, in each of several processes "
        "that work together: auto (Slurm, Open MPI), or address:port,number,which",
        **here,
    )  # fmt: skip
    flags.DEFINE_enum("domain", "jets", domains.names(), "kind of data", **here)
    for name in domains.names():
        domain = domains.get(name)
        for kind, config in domains.kinds(domain).items():
            configs.define(domain.GROUPS[kind], config, **here)
    flags.DEFINE_enum("model", "conv_vae", models.names(), "model to train", **here)
    flags.DEFINE_enum(
        "loss", "chamfer", distances.names(), "distance between sets of particles",
        **here,
    )  # fmt: skip
    flags.DEFINE_enum(
        "flow", "realnvp", densities.names(), "density to fit to the latents", **here
    )
    flags.DEFINE_enum(
        "latents", "samples", ("samples", "means"),
        "fit the flow to fresh samples of each posterior, or to the means", **here,
    )  # fmt: skip
    flags.DEFINE_enum(
        "latent", "gaussian", ("gaussian", "uniform", "cdf"),
        "input of the decoder: latents, or their uniforms; cdf: uniforms, with the "
        "CDFs of the features as encoder", **here,
    )  # fmt: skip
    flags.DEFINE_float(
        "uniform", 0.0, "weight of the marginals' distance from uniform", **here
    )
    flags.DEFINE_enum(
        "prior", NONE, (NONE, *densities.names()),
        "density of the latents, learned with the VAE", **here,
    )  # fmt: skip
    flags.DEFINE_enum(
        "discriminator", NONE, (NONE, *discriminators.names()),
        "network against which the VAE is trained", **here,
    )  # fmt: skip
    flags.DEFINE_string(
        "pretrained", "", "model to start from: a workdir or zoo:NAME", **here
    )  # fmt: skip
    flags.DEFINE_list(
        "log", [], f"logs beside the JSON lines: {', '.join(logs.names())}", **here
    )
    for name in logs.names():
        configs.define(name, logs.get(name).Config, **here)
    for package in PLUGINS:
        for name in package.names():
            configs.define(name, package.get(name).Config, skip=DERIVED, **here)
    configs.define("adversarial", adversarial.Config, **here)
    configs.define("copula", copula.Config, **here)
    configs.define("train", training.Config, **here)
    configs.define("fit", training.Config, defaults=FLOW_TRAINING, **here)
    configs.define("generate", GenerateConfig, **here)
    configs.define("evaluate", EvaluateConfig, **here)


_PLAIN = {
    r"invalid literal for int\(\)": "a whole number",
    "could not convert string to float": "a number",
    r"\('Non-boolean argument": "true or false",
}
"""Beginning of the error of Python or absl to the value that the flag must have."""


def parse(arguments: Sequence[str], values: "flags.FlagValues") -> list[str]:
    """Parse a command line; flagfiles are read as ``core.flagfiles`` describes.

    Args:
        arguments: the name of the script, then flags.
        values: defined, to be set.

    Returns:
        The arguments that are not flags.

    Raises:
        InputError: a flag that is unknown, wrong or missing.
    """
    from absl import flags

    given = [arguments[0], *flagfiles.inserted(arguments[1:])]
    try:
        return values(given)
    except flags.UnrecognizedFlagError as error:
        for name in (error.flagname, error.flagname.removeprefix("no")):
            if new := configs.RENAMED_FLAGS.get(name):
                raise InputError(f"--{name}: is --{new} now") from None
        hint = did_you_mean(error.flagname, values)
        raise InputError(
            f"--{error.flagname}: unknown flag{hint}; see --help"
        ) from None
    except flags.Error as error:
        text = " ".join(str(error).split())
        if missing := re.fullmatch(r"flag (--[\w.]+)=None: .*", text):
            text = f"{missing[1]}: is missing; see --help"
        if wrong := re.fullmatch(r"flag (--[\w.]+)=(.*)", text):
            name, rest = wrong.groups()
            text = name + (rest if rest.startswith(":") else f"={rest}")
        if of := re.fullmatch(r"(--[\w.]+)=(.*): value should be one of <(.*)>", text):
            names = of[3].split("|")
            hint = did_you_mean(of[2], names)
            text = f"{of[1]}={of[2]}: must be one of {', '.join(names)}{hint}"
        for python, plain in _PLAIN.items():
            text = re.sub(rf": {python}.*", f": must be {plain}", text)
        raise InputError(text) from None


def check_chosen(arguments: Sequence[str], value: Value) -> None:
    """Check that settings on a command line are of what is chosen.

    Those in flagfiles are not checked: a flag beside them may choose something else.

    Args:
        arguments: of the command line, without the script.
        value: of the flags that choose.

    Raises:
        InputError: a setting of another model, flow, loss, domain, ...
    """
    chosen = {"domain": {value("domain")}}
    owners: dict[str, tuple[str, list[str]]] = {}
    for package, flags in (*PLUGINS.items(), (logs, ("log",))):
        given = [value(flag) for flag in flags]
        chosen[flags[0]] = set().union(
            *(v if isinstance(v, list) else [v] for v in given)
        )
        owners |= {name: (flags[0], [name]) for name in package.names()}
    for name in domains.names():
        for group in domains.get(name).GROUPS.values():
            owners.setdefault(group, ("domain", []))[1].append(name)
    for argument in arguments:
        flag = re.match(r"--?((?:no)?(\w+)\.\w+)", argument)
        group = flag and next(
            (g for g in (flag[2], flag[1].split(".")[0]) if g in owners), None
        )
        if flag is None or group is None:
            continue
        chooser, names = owners[group]
        if chosen[chooser].isdisjoint(names):
            now = value(chooser)
            now = (", ".join(now) if isinstance(now, list) else now) or "empty"
            raise InputError(
                f"--{flag[1]}: is of --{chooser}={' or '.join(names)}, and --{chooser} "
                f"is {now}: give both or neither"
            )


def model_run(
    settings: Mapping[str, Any] | None = None, *, flagfile: str = ""
) -> ModelRun:
    """The training that settings describe, for :func:`jetvae_jax.runs.train`.

    Args:
        settings: flag of ``experiments/train.py`` to its value, such as
            ``{"model": "deepsets_vae", "train.num_epochs": 10}``.
        flagfile: path, or name of one of this package such as ``quickstart``, of the
            recipe that ``settings`` change; what neither says has the default of the
            flag. Flags of other steps are ignored.

    Raises:
        InputError: a name that this run does not have, a wrong value, or no such file.
    """
    return _from(settings, flagfile, model_run_of)


def flow_run(
    settings: Mapping[str, Any] | None = None, *, flagfile: str = ""
) -> FlowRun:
    """The fit of a flow that settings describe, for :func:`jetvae_jax.runs.fit_flow`.

    Args:
        settings: flag of ``experiments/fit_flow.py`` to its value, such as
            ``{"flow": "spline", "fit.num_epochs": 10}``.
        flagfile: as for :func:`model_run`.

    Raises:
        InputError: a name that this fit does not have, a wrong value, or no such file.
    """
    return _from(settings, flagfile, flow_run_of)


def model_run_of(value: Value, read: Read) -> ModelRun:
    """A training, from wherever its settings are read."""
    domain = domains.get(value("domain"))

    def named(package: Any, name: str) -> Any:
        return None if name == NONE else read(name, package.get(name).Config)

    return ModelRun(
        domain=value("domain"),
        **{
            kind: read(domain.GROUPS[kind], config)
            for kind, config in domains.kinds(domain).items()
        },
        model=value("model"),
        model_config=named(models, value("model")),
        loss=value("loss"),
        loss_config=named(distances, value("loss")),
        training=read("train", training.Config),
        seed=value("seed"),
        components=Components(
            latent=value("latent"),
            uniform=value("uniform"),
            prior=value("prior"),
            prior_config=named(densities, value("prior")),
            discriminator=value("discriminator"),
            discriminator_config=named(discriminators, value("discriminator")),
            adversarial=read("adversarial", adversarial.Config),
        ),
        pretrained=value("pretrained"),
    )


def flow_run_of(value: Value, read: Read) -> FlowRun:
    """A fit of a flow, from wherever its settings are read."""
    return FlowRun(
        flow=value("flow"),
        flow_config=read(value("flow"), densities.get(value("flow")).Config),
        latents=value("latents"),
        training=read("fit", training.Config),
        seed=value("seed"),
    )


def _from(
    settings: Mapping[str, Any] | None,
    flagfile: str,
    build: Callable[[Value, Read], Any],
) -> Any:
    from absl import flags

    values = flags.FlagValues()
    define_flags(values)
    given = settings or {}
    _check_known(given, set(values))
    arguments = [f"--flagfile={flagfile}"] if flagfile else []
    arguments += [_flag(name, value) for name, value in given.items()]
    parse(["", *arguments], values)
    used: set[str] = set()

    def value(name: str) -> Any:
        used.add(name)
        return values[name].value

    def read(prefix: str, config: Any) -> Any:
        used.update(f"{prefix}.{field.name}" for field in dataclasses.fields(config))
        return configs.read(prefix, config, values)

    run = build(value, read)
    _check_known(given, used)
    return run


def _check_known(given: Mapping[str, Any], known: set[str]) -> None:
    for name in given:
        if name not in known:
            raise InputError(
                f"{name}: is not a setting of this run{did_you_mean(name, known)}"
            )


def _flag(name: str, value: Any) -> str:
    """A setting as an argument of a command line."""
    if isinstance(value, bool):
        return f"--{name}={str(value).lower()}"
    items = value if isinstance(value, list | tuple) else [value]
    return f"--{name}={','.join(map(str, items))}"
