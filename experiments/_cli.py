"""Common code of the scripts: flags, log format, one-line errors."""

import atexit
import contextlib
import dataclasses
import gc
import io
import logging as python_logging
import os
import pathlib
import platform
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import _help
import _stored_help  # prints help that is there already, and exits
import jax
from absl import app, flags, logging
from absl.testing import flagsaver

from jetvae_jax import densities, discriminators, models, runs, training
from jetvae_jax.core import commands, configs, devices, files
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import LOCK, Workdir
from jetvae_jax.core.interrupt import Interrupt
from jetvae_jax.densities import copula
from jetvae_jax.losses import distances
from jetvae_jax.report import page
from jetvae_jax.report.about import COMMAND, date
from jetvae_jax.runs import domains, settings
from jetvae_jax.studies.trainings import Candidate
from jetvae_jax.training import logs

FLAGS = flags.FLAGS


def define_flags() -> None:
    """All flags, the same for every script: one flagfile describes a whole run."""
    settings.define_flags(FLAGS)
    flags.mark_flag_as_required("workdir")


def check_chosen() -> None:
    """Settings on the command line are of the model, flow, ... that are chosen."""
    settings.check_chosen(sys.argv[1:], _value)


def model_run() -> runs.ModelRun:
    """The training that the flags describe."""
    return settings.model_run_of(_value, configs.read)


def _value(name: str) -> Any:
    return FLAGS[name].value


def copula_run() -> runs.CopulaRun:
    """The fit of a copula that the flags describe."""
    return runs.CopulaRun(
        config=configs.read("copula", copula.Config),
        flow=FLAGS.flow,
        flow_config=configs.read(FLAGS.flow, densities.get(FLAGS.flow).Config),
        training=configs.read("fit", training.Config),
        seed=FLAGS.seed,
    )


def log_targets() -> logs.Logs:
    """The logs that the flags ask for.

    Raises:
        InputError: there is none of this name, or its library is not installed.
    """
    found = {name: configs.read(name, logs.get(name).Config) for name in FLAGS.log}
    logs.check(found)
    return found


def flow_run() -> runs.FlowRun:
    """The flow fit that the flags describe."""
    return settings.flow_run_of(_value, configs.read)


def candidate(
    name: str,
    *flagfiles: str | os.PathLike,
    latents: str = "",
    last: Sequence[str] = (),
) -> Candidate:
    """The training of flagfiles, for a comparison; flags of the command line override.

    Args:
        name: for the table.
        flagfiles: a later one overrides an earlier one.
        latents: of the samples; those of --generate.latents if empty.
        last: flags that override those of the command line.
    """
    with flagsaver.flagsaver():
        recipe = [f"--flagfile={f}" for f in flagfiles]
        settings.parse([sys.argv[0], *recipe, *sys.argv[1:], *last], FLAGS)
        chosen = {"latents": latents} if latents else {}
        config = generate_config(**chosen)
        fits = {"flow": flow_run, "copula": copula_run}
        after = fits[config.latents]() if config.latents in fits else None
        return Candidate(name, model_run(), config.latents, after, log_targets())


def own_flags() -> list[flags.Flag]:
    """The flags of this run, without those of the libraries."""
    foreign = ("absl", "chex")
    return [
        flag
        for module, group in FLAGS.flags_by_module_dict().items()
        if not module.startswith(foreign)
        for flag in group
    ]


@contextlib.contextmanager
def saved_flags(*, alone: bool = True) -> Iterator[None]:
    """Write workdir/flags.txt, which repeats the command by --flagfile.

    If the command is refused, the file is what it was before: that of the run which
    the workdir holds.

    Args:
        alone: keep other processes from doing so meanwhile.
    """
    folder = Workdir(FLAGS.workdir)
    with folder.locked() if alone else contextlib.nullcontext(), _flags_in(folder):
        yield


@contextlib.contextmanager
def no_empty_workdir() -> Iterator[None]:
    """Folders that a refused command made for its workdir are gone, if empty."""
    workdir = FLAGS["workdir"].value if "workdir" in FLAGS else None
    path = pathlib.Path(workdir or ".")
    made = [above for above in (path, *path.parents) if not os.path.exists(above)]
    try:
        yield
    except InputError:
        with contextlib.suppress(OSError):  # not empty
            for empty in made:
                empty.rmdir()
        raise


@contextlib.contextmanager
def _flags_in(folder: Workdir) -> Iterator[None]:
    # Who works together is not part of the run.
    lines = {flag.serialize() for flag in own_flags() if flag.name != "hosts"}
    script = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    name = "flags.txt" if script == "train" else f"{script}.flags.txt"
    before = (folder / name).read_text() if (folder / name).is_file() else None
    there = set(os.listdir(folder.path)) | {name, LOCK}
    folder.write_text(name, "".join(f"{line}\n" for line in sorted(lines) if line))
    try:
        yield
    except InputError:
        if before is not None:
            folder.write_text(name, before)
        elif there.issuperset(os.listdir(folder.path)):  # nothing was begun
            (folder / name).unlink()
        raise


def generate_config(**changes) -> runs.GenerateConfig:
    """The samples to generate, by the flags."""
    config = configs.read("generate", runs.GenerateConfig)
    return dataclasses.replace(config, **changes)


def data_config() -> Any:
    """The data, by the flags: the ``Data`` of the domain."""
    domain = domains.get(FLAGS.domain)
    return configs.read(domain.GROUPS["data"], domain.Data)


def evaluate_config() -> runs.EvaluateConfig:
    """How to evaluate, by the flags."""
    return configs.read("evaluate", runs.EvaluateConfig)


def picture(flag: str, path: str) -> pathlib.Path | None:
    """Where a picture that a flag asks for is to be written; None if it does not.

    Raises:
        InputError: it cannot be written there, or drawn.
    """
    if not path:
        return None
    output = pathlib.Path(path)
    if output.suffix != ".png" or not output.parent.is_dir():
        raise InputError(f"--{flag}={output}: give a .png file in a folder that exists")
    if "matplotlib" in page.missing():
        raise InputError(
            f"--{flag}={output}: needs matplotlib, which is not installed: "
            "pip install 'jetvae_jax[plot]'"
        )
    return output


def stop_if_interrupted(signal_number: int) -> None:
    """After a signal, print how to continue and exit with its exit code."""
    if signal_number:
        _stopped(signal_number, f"everything is saved in {FLAGS.workdir}")


def _stopped(signal_number: int, kept: str) -> NoReturn:
    logging.warning(
        "stopped by signal %d; %s. Continue with: %s", signal_number, kept, command()
    )
    sys.exit(128 + signal_number)


def command() -> str:
    """The command line of this process, to be typed again."""
    if commands.INSTALLED or commands.BY_NAME.get():
        return shlex.join(["jetvae", pathlib.Path(sys.argv[0]).stem, *sys.argv[1:]])
    return f"python {shlex.join(sys.argv)}"


@contextlib.contextmanager
def joined_hosts() -> Iterator[None]:
    """Work with the other processes of --hosts.

    The first one writes: others train in a copy of the workdir, which is removed, and
    print nothing but warnings. Shards each process writes itself.

    Raises:
        InputError: the processes do not find one another, or it is another script.
    """
    if "hosts" not in FLAGS or not FLAGS.hosts:
        yield
        return
    script = pathlib.Path(sys.argv[0]).stem
    if script not in ("train", "fit_flow", "generate"):
        raise InputError("--hosts: give it to train.py, fit_flow.py or generate.py")
    devices.join(FLAGS.hosts)
    try:
        with contextlib.ExitStack() as stack:
            if jax.process_index():
                logging.set_verbosity(logging.WARNING)
                stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
                if script != "generate":
                    copy = stack.enter_context(tempfile.TemporaryDirectory())
                    for file in pathlib.Path(FLAGS.workdir).glob("*.*"):
                        if file.suffix in (".npz", ".json", ".jsonl", ".txt"):
                            shutil.copy(file, copy)
                    FLAGS.workdir = copy
            devices.agreed(0)  # the copies are made
            yield
            jax.distributed.shutdown()
    except Exception:
        atexit.register(_leave)
        raise


def _leave() -> None:
    """End this process, whatever the others do: at its exit JAX would wait for them.

    They end when they miss it. The first one, whom the others would miss at once,
    leaves them time to say what happened to themselves.
    """
    if not jax.process_index():
        time.sleep(5)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(2)


def help_groups() -> _help.Groups:
    """How --help lists the topics of the flags that most scripts share."""
    return {
        "a run": (_help.RUN, "train", "fit", "generate", "evaluate", *logs.names()),
        **{name: [*domains.get(name).GROUPS.values()] for name in domains.names()},
        "--model": models.names(),
        "--loss": distances.names(),
        "--flow, --prior": (*densities.names(), "copula"),
        "--discriminator": (*discriminators.names(), "adversarial"),
    }


def print_help(topic: str, shown: Sequence[str]) -> None:
    """Print the help on a topic, as :func:`_help.asked` returns it."""
    about = sys.modules["__main__"].__doc__ or ""
    text = _help.text(
        topic, own_flags(), about=about, shown=shown, groups=help_groups()
    )
    text = commands.worded(text)
    print(text)
    _stored_help.keep(text)


def run(
    main: Callable[[], None],
    define: Callable[[], None] = define_flags,
    *,
    shown: Sequence[str] = (),
) -> None:
    """Parse the flags and run ``main``; an InputError is printed in one line.

    Args:
        main: what the script does.
        define: defines its flags.
        shown: names of the flags that --help shows; all if empty.
    """
    define()
    COMMAND.set(command())
    if (topic := _help.asked(sys.argv[1:])) is not None:
        with one_line_errors():
            print_help(topic, shown)
        sys.exit(0)
    keep_compiled()
    # Tracing makes many objects, few in cycles: to look for these takes a fifth of it.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    logging.set_verbosity(logging.INFO)
    # At this level jax logs which accelerators it did not find.
    python_logging.getLogger("jax").setLevel(python_logging.WARNING)
    logging.get_absl_handler().setFormatter(
        python_logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    )

    interrupt = Interrupt(raises=True)

    def guarded(arguments):
        with one_line_errors(interrupt):
            if len(arguments) > 1:
                raise InputError(
                    f"{arguments[1]!r}: not a flag; write --flag=value, "
                    "and see --help for the flags"
                )
            with joined_hosts():
                check_platform()
                if "devices" in FLAGS:
                    devices.NUMBER.set(FLAGS.devices)
                date()  # of a report: a wrong SOURCE_DATE_EPOCH stops before any work
                with interrupt, no_empty_workdir():
                    main()

    def parser(arguments):
        with one_line_errors():
            return settings.parse(arguments, FLAGS)

    app.run(guarded, flags_parser=parser)


def keep_compiled() -> None:
    """Keep compiled programs in the user's cache folder, for the next run.

    The user may name another folder by JAX_COMPILATION_CACHE_DIR, or none: empty.
    Processors of different kinds may share the user's home, but no programs.
    """
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        # JAX keeps what took a second; the small programs of a start take two together.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    with contextlib.suppress(OSError):
        folder = files.user_cache("compiled") / _processor()
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            jax.config.update("jax_compilation_cache_dir", str(folder))


def _processor() -> str:
    """Eight hexadecimal digits that differ for processors of other instructions."""
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    kept = {line for line in lines if re.match("model name|flags|Features", line)}
    text = "\n".join([platform.machine(), platform.processor(), *sorted(kept)])
    return f"{zlib.crc32(text.encode()):08x}"


def run_study(
    study: Callable[..., tuple[Any, str]],
    group: str,
    config: type,
    *,
    of_run: bool = False,
    shown: Sequence[str] = (),
) -> None:
    """Run a study, and print what was found and the path of its page.

    Args:
        study: ``(workdir, config) -> (path, verdict)``; that of a trained run also
            takes ``output``, the folder of the page.
        group: of its flags.
        config: the class of its settings.
        of_run: whether the workdir is that of a trained run.
        shown: names of the flags that --help shows.
    """

    def define() -> None:
        about = "folder of a trained run" if of_run else "folder of the report"
        configs.define_path("workdir", None, about)
        flags.mark_flag_as_required("workdir")
        if of_run:
            about = "folder of the report; empty for the workdir"
            configs.define_path("output", "", about)
        configs.define(group, config)

    def main() -> None:
        given = {"output": FLAGS.output} if of_run else {}
        page, verdict = study(FLAGS.workdir, configs.read(group, config), **given)
        print(verdict)
        print(page)

    run(main, define, shown=shown)


@contextlib.contextmanager
def one_line_errors(interrupt: Interrupt | None = None) -> Iterator[None]:
    """A mistake of the user, or of the machine, ends the script with one line.

    Args:
        interrupt: knows which signal stopped the script.
    """
    try:
        yield
        return
    except InputError as error:
        reason = str(error)
    except KeyboardInterrupt:
        number = interrupt.signal_number if interrupt else 0
        _stopped(number or signal.SIGINT, "nothing that was complete is lost")
    except BrokenPipeError:  # as in '| head'
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        name = "" if error.filename is None else f"{error.filename}: "
        reason = f"{name}{error.strerror or error}"
    except MemoryError as error:
        reason = f"there is not enough memory ({error}): {SMALLER}"
    except jax.errors.JaxRuntimeError as error:
        if not re.search("RESOURCE_EXHAUSTED|[Oo]ut of memory", str(error)):
            raise
        first, *_ = str(error).splitlines()
        reason = f"there is not enough memory ({first[:200]}): {SMALLER}"
    print(f"error: {' '.join(reason.split())}", file=sys.stderr)
    sys.exit(2)


SMALLER = "take a smaller batch, a smaller model or fewer samples"


def check_platform() -> None:
    """The platform that JAX_PLATFORMS names is there, before any work.

    Raises:
        InputError: it is not.
    """
    for name in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME"):
        if not os.environ.get(name):
            continue
        try:
            jax.devices()
        except (RuntimeError, AssertionError) as error:
            first, *_ = [*str(error).splitlines(), "there is no such device"]
            raise InputError(
                f"{name}={os.environ[name]}: cannot be used here ({first[:200]}): set "
                f"{name}=cpu, or leave it out"
            ) from None
