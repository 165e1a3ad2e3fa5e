"""What the entry points share: flag groups, log format, one-line errors."""

import dataclasses
import logging as python_logging
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from absl import app, flags, logging

from jetvae_jax import densities, discriminators, models, runs, training
from jetvae_jax.core import configs as config_flags
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.densities import copula
from jetvae_jax.losses import adversarial, distances
from jetvae_jax.runs import domains
from jetvae_jax.runs.config import DERIVED

FLAGS = flags.FLAGS
FLOW_TRAINING = {"num_epochs": 100, "batch_size": 500, "patience": 15}


def define_flags() -> None:
    """All flags, the same for every script: one flagfile describes a whole run."""
    flags.DEFINE_string("workdir", None, "folder that holds everything of one run")
    flags.mark_flag_as_required("workdir")
    flags.DEFINE_integer("seed", 0, "seed of training and of the flow's fit")
    flags.DEFINE_enum("domain", "jets", domains.names(), "what is to be generated")
    for name in domains.names():
        road = domains.get(name)
        for kind, config in _kinds(road).items():
            config_flags.define(road.GROUPS[kind], config)
    flags.DEFINE_enum("model", "conv_vae", models.names(), "network to train")
    flags.DEFINE_enum(
        "loss", "chamfer", distances.names(), "distance between sets of particles"
    )
    flags.DEFINE_enum(
        "flow", "realnvp", densities.names(), "flow to fit to the latents"
    )
    flags.DEFINE_enum(
        "latents", "samples", ("samples", "means"),
        "fit the flow to fresh samples of each posterior, or to the means",
    )  # fmt: skip
    flags.DEFINE_enum(
        "latent", "gaussian", ("gaussian", "uniform", "cdf"),
        "what the decoder is given: latents, or their uniforms; cdf: the features' own "
        "CDFs in place of an encoder",
    )  # fmt: skip
    flags.DEFINE_float("uniform", 0.0, "weight of the marginals' distance from uniform")
    flags.DEFINE_enum(
        "prior",
        "none",
        ("none", "gaussian_copula", *densities.names()),
        "density of the latents, learned with the VAE",
    )
    flags.DEFINE_enum(
        "discriminator", "none", ("none", *discriminators.names()),
        "network that the VAE is trained against",
    )  # fmt: skip
    for package in (models, distances, densities, discriminators):
        for name in package.names():
            config = package.get(name).Config
            config_flags.define(name, config, skip=DERIVED)
    config_flags.define("adversarial", adversarial.Config)
    config_flags.define("copula", copula.Config)
    config_flags.define("train", training.Config)
    config_flags.define("fit", training.Config, defaults=FLOW_TRAINING)
    config_flags.define("generate", runs.GenerateConfig)
    config_flags.define("evaluate", runs.EvaluateConfig)


def _kinds(road: ModuleType) -> dict[str, type]:
    """The Configs of a domain, by what they describe."""
    return {"data": road.Data, "scaling": road.Scaling, "objective": road.Objective}


def vae_run() -> runs.VAERun:
    """The VAE training that the flags describe."""
    road = domains.get(FLAGS.domain)
    return runs.VAERun(
        domain=FLAGS.domain,
        **{
            kind: config_flags.read(road.GROUPS[kind], config)
            for kind, config in _kinds(road).items()
        },
        model=FLAGS.model,
        model_config=config_flags.read(FLAGS.model, models.get(FLAGS.model).Config),
        loss=FLAGS.loss,
        loss_config=config_flags.read(FLAGS.loss, distances.get(FLAGS.loss).Config),
        training=config_flags.read("train", training.Config),
        seed=FLAGS.seed,
        parts=parts_config(),
    )


def parts_config() -> runs.PartsConfig:
    """What the VAE is trained together with, by the flags."""

    def named(package, name):
        if name not in package.names():
            return None
        return config_flags.read(name, package.get(name).Config)

    return runs.PartsConfig(
        latent=FLAGS.latent,
        uniform=FLAGS.uniform,
        prior=FLAGS.prior,
        prior_config=named(densities, FLAGS.prior),
        discriminator=FLAGS.discriminator,
        discriminator_config=named(discriminators, FLAGS.discriminator),
        adversarial=config_flags.read("adversarial", adversarial.Config),
    )


def copula_run() -> runs.CopulaRun:
    """The fit of a copula that the flags describe."""
    return runs.CopulaRun(
        config=config_flags.read("copula", copula.Config),
        flow=FLAGS.flow,
        flow_config=config_flags.read(FLAGS.flow, densities.get(FLAGS.flow).Config),
        training=config_flags.read("fit", training.Config),
        seed=FLAGS.seed,
    )


def flow_run() -> runs.FlowRun:
    """The flow fit that the flags describe."""
    return runs.FlowRun(
        flow=FLAGS.flow,
        flow_config=config_flags.read(FLAGS.flow, densities.get(FLAGS.flow).Config),
        latents=FLAGS.latents,
        training=config_flags.read("fit", training.Config),
        seed=FLAGS.seed,
    )


def own_flags() -> list[flags.Flag]:
    """The flags of this run, without those of the libraries."""
    foreign = ("absl", "chex")
    return [
        flag
        for module, group in FLAGS.flags_by_module_dict().items()
        if not module.startswith(foreign)
        for flag in group
    ]


def save_flags() -> None:
    """Write workdir/flags.txt, which repeats the command by --flagfile."""
    folder = Workdir(FLAGS.workdir)
    lines = {flag.serialize() for flag in own_flags()}
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    text = "".join(f"{line}\n" for line in sorted(lines) if line)
    folder.write_text("flags.txt" if name == "train" else f"{name}.flags.txt", text)


def generate_config(**changes) -> runs.GenerateConfig:
    """What to generate, by the flags."""
    config = config_flags.read("generate", runs.GenerateConfig)
    return dataclasses.replace(config, **changes)


def data_config() -> Any:
    """Which data, by the flags: the ``Data`` of the domain."""
    road = domains.get(FLAGS.domain)
    return config_flags.read(road.GROUPS["data"], road.Data)


def evaluate_config() -> runs.EvaluateConfig:
    """How to evaluate, by the flags."""
    return config_flags.read("evaluate", runs.EvaluateConfig)


def stop_if_interrupted(signal_number: int) -> None:
    """After a saved stop, say how to go on and exit as the signal asks."""
    if signal_number:
        logging.warning(
            "stopped by signal %d; everything is saved in %s. Go on with: python %s",
            signal_number, FLAGS.workdir, " ".join(sys.argv),
        )  # fmt: skip
        sys.exit(128 + signal_number)


def run(main: Callable[[], None], define: Callable[[], None] = define_flags) -> None:
    """Parse the flags and run ``main``; a user's mistake ends in one line."""
    define()
    for flag in own_flags():  # so that --help shows them
        FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    logging.set_verbosity(logging.INFO)
    # jax says at this level which accelerators it did not find.
    python_logging.getLogger("jax").setLevel(python_logging.WARNING)
    logging.get_absl_handler().setFormatter(
        python_logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    )

    def guarded(arguments):
        try:
            if len(arguments) > 1:
                raise InputError(
                    f"{arguments[1]!r}: not a flag; write --flag=value, "
                    "and see --help for the flags"
                )
            main()
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            print("stopped before anything was to be saved", file=sys.stderr)
            sys.exit(130)

    app.run(guarded)
