"""How time and memory grow with particles, jets, batch and couplings.

    python benchmarks/growth.py                       # some minutes
    python benchmarks/growth.py --full                # up to 10 million jets
    python benchmarks/growth.py --only=chamfer,w1m    # these again, the others stay
    python benchmarks/growth.py --cpu                 # where the machine is busy
    python benchmarks/growth.py --draw                # the picture again

Each kind of work is measured in a process of its own, at growing sizes, and stops
where the next size would take longer than --limit. ``time`` is the median of calls
(of the processor's time with --cpu); ``compile`` that of tracing and compiling, without
caches; ``memory`` what a call needs beside its arguments: of compiled functions their
buffers as XLA states them, of others the peak of the process above what it had before.
Exponents are those of a power of the size, fitted to the last three points. What must
be is in ``CASES``; what is more by 0.3 is printed with a ``!``. Writes
benchmarks/growth.json and docs/figures/growth.png.
"""

import argparse
import ctypes
import json
import math
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

HERE = pathlib.Path(__file__).parent
PICTURE = HERE.parent / "docs" / "figures" / "growth.png"
KINDS = {"time": "s", "compile": "s", "memory": "MB"}
# Below these a point is noise, and not fitted.
FLOORS = {"time": 2e-4, "compile": 0.1, "memory": 1.0}
TOLERANCE = 0.3
STEPS = 10  # of a training, in one call
LONG = 20.0  # seconds of a call above which the first is the only one


class Case(NamedTuple):
    """Work at growing sizes.

    Attributes:
        work: name of a function of this file.
        variable: its argument that grows.
        sizes: of a run of some minutes.
        more: further sizes of --full.
        time: exponent that must be.
        memory: exponent that must be.
        compile: exponent that must be.
    """

    work: str
    variable: str
    sizes: tuple[int, ...]
    more: tuple[int, ...] = ()
    time: float = 1.0
    memory: float = 1.0
    compile: float = 0.0


CASES = (
    Case("chamfer", "particles", (30, 100, 300), (1000,), time=2),
    # Its convolutions leave N - 12 particles: a linear law begins well above that.
    Case("conv_vae", "particles", (30, 100, 200, 400), (1000,)),
    Case("deepsets_vae", "particles", (30, 100, 300), (1000,)),
    # Every particle looks at those before it.
    Case("autoregressive", "particles", (30, 60, 120), (240, 480, 1000), time=2),
    Case("chamfer", "batch", (100, 300, 1000), (3000, 10_000)),
    Case("conv_vae", "batch", (100, 300, 1000), (3000, 10_000)),
    Case("deepsets_vae", "batch", (100, 300, 1000), (3000, 10_000)),
    Case("autoregressive", "batch", (100, 300, 1000), (3000, 10_000)),
    Case("realnvp", "batch", (100, 300, 1000), (3000, 10_000)),
    Case("realnvp", "couplings", (5, 10, 20, 50), (100,)),
    # Shards of jets are written while the next are made.
    Case("generation", "jets", (10_000, 30_000, 100_000), (10**6, 10**7), memory=0),
    Case("w1m", "jets", (10_000, 100_000), (10**6, 10**7)),
    Case("w1p", "jets", (10_000, 100_000), (10**6,)),
    Case("polynomials", "jets", (10_000, 30_000, 100_000), (10**6,)),
    Case("fpd", "jets", (10_000, 100_000), (10**6, 10**7)),
    Case("kpd", "jets", (10_000, 100_000), (10**6, 10**7)),
)


def batch_of(num_jets, num_particles, num_conditions=0):
    """Random sets, particles in descending pt."""
    import jax.numpy as jnp
    import numpy as np

    from jetvae_jax.core.types import Batch, Context

    rng = np.random.default_rng(0)
    x = rng.uniform(size=(num_jets, num_particles, 3)).astype(np.float32)
    x[..., 0] = -np.sort(-x[..., 0]) / num_particles
    condition = jnp.zeros((num_jets, num_conditions)) if num_conditions else None
    context = Context(jnp.ones((num_jets, 3)), condition)
    mask = jnp.ones((num_jets, num_particles), bool)
    return Batch(jnp.asarray(x), mask, context)


class Program(NamedTuple):
    """A function to compile.

    Attributes:
        function: jitted.
        arguments: of it.
        state: how many of its first arguments are its first results of the call before.
        steps: in one call; time is that of one.
    """

    function: Any
    arguments: list[Any]
    state: int = 0
    steps: int = 1


def chamfer(particles=30, batch=100):
    """Chamfer distance and its gradient to both sets."""
    import jax

    from jetvae_jax.losses import chamfer_distance

    def gradient(x, y):
        return jax.grad(lambda *p: chamfer_distance(*p).sum(), argnums=(0, 1))(x, y)

    x = batch_of(batch, particles).x
    return Program(jax.jit(gradient), [x, x[..., ::-1] * 0.9])


def training_step(name, particles, batch, **config):
    """A step of training with the Chamfer loss and Adam.

    Several steps are one call, as in a training: the memory of a call of more than 32
    MB is new, and to clear it takes longer than to use it.
    """
    import jax

    from jetvae_jax import models
    from jetvae_jax.core.types import Objective, Task
    from jetvae_jax.losses import chamfer_distance
    from jetvae_jax.training import step as steps

    def distance(batch, x_hat):
        found = chamfer_distance(batch.x, x_hat)
        return found, {"chamfer": found}

    task = Task(particles, 3, objective=Objective(distance, beta=1.0))
    module = models.get(name)
    model = module.model(module.Config(num_particles=particles, **config), task)
    made = steps.model_step(model, steps.Config(), num_jets=batch)
    state = jax.jit(made.init)(jax.random.key(0))

    def update(state, key, batch):
        def one(_, state):
            return made.update(state, key, batch)[0]

        return (jax.lax.fori_loop(0, STEPS, one, state),)

    arguments = [state, jax.random.key(1), batch_of(batch, particles)]
    return Program(jax.jit(update, donate_argnums=0), arguments, state=1, steps=STEPS)


def conv_vae(particles=30, batch=100):
    """A training step of a small ConVAE."""
    config = {"filters": (8, 16, 32), "hidden": (128,)}
    return training_step("conv_vae", particles, batch, **config)


def deepsets_vae(particles=30, batch=100):
    """A training step of the deep-sets VAE."""
    return training_step("deepsets_vae", particles, batch)


def autoregressive(particles=30, batch=100):
    """Sampling jets particle by particle, random weights."""
    import jax

    from jetvae_jax.core.types import Task
    from jetvae_jax.models import autoregressive_vae as ar

    config = ar.Config(num_particles=particles, num_conditions=1)
    model = ar.model(config, Task(particles, 3, num_conditions=1))
    params = jax.jit(model.init)(jax.random.key(0))
    context = batch_of(batch, particles, 1).context
    return Program(jax.jit(model.sample), [params, jax.random.key(1), context])


def realnvp(couplings=8, batch=100):
    """A training step of a flow in 30 dimensions."""
    import jax
    import optax

    from jetvae_jax.densities import realnvp as flows

    flow = flows.build(flows.Config(num_couplings=couplings), dim=30)
    params, tx = jax.jit(flow.init)(jax.random.key(0)), optax.adam(1e-4)
    z = jax.random.normal(jax.random.key(1), (batch, 30))

    def step(params, state, z):
        gradient = jax.grad(lambda p: -flow.log_prob(p, z).mean())(params)
        updates, state = tx.update(gradient, state)
        return optax.apply_updates(params, updates), state

    step = jax.jit(step, donate_argnums=(0, 1))
    return Program(step, [params, tx.init(params), z], state=2)


def generation(jets):
    """Jets of a model of the zoo, written to a file."""
    from jetvae_jax import runs

    config = runs.GenerateConfig(num_jets=jets, latents="flow")
    trained = runs.load_model("zoo:convae_gluon30")

    def run():
        from jetvae_jax.data import writer
        from jetvae_jax.runs.generation import samples_of

        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "jets.hdf5")
            with writer(path, num_particles=30) as file:
                for chunk in samples_of(trained, config)[1]:
                    file.append(chunk)

    return run


def sample_of(jets):
    """Embedded jets, drawn with replacement, about their axes."""
    import numpy as np

    from jetvae_jax.core.types import RelativeJets
    from jetvae_jax.data import load
    from jetvae_jax.metrics import relative

    few = relative(load("embedded").jets)
    rows = np.random.default_rng(0).integers(len(few.mask), size=jets)
    return RelativeJets(*(np.asarray(field)[rows] for field in few))


def w1m(jets):
    """W1M, all jets in one batch."""
    import jax

    from jetvae_jax import metrics

    sample, draws = sample_of(jets), metrics.Draws(jets, 1)
    return lambda: metrics.w1m(jax.random.key(0), sample, sample, draws=draws)


def w1p(jets):
    """W1P, all jets in one batch."""
    import jax

    from jetvae_jax import metrics

    sample, draws = sample_of(jets), metrics.Draws(jets, 1)
    return lambda: metrics.w1p(jax.random.key(0), sample, sample, draws=draws)


def polynomials(jets):
    """The 36 energy-flow polynomials of FPD and KPD."""
    from jetvae_jax import metrics

    sample = sample_of(jets)
    return lambda: metrics.jet_features(sample)


def features_of(jets):
    """Random features, as correlated as polynomials are."""
    import numpy as np

    rng = np.random.default_rng(0)
    few = np.exp(rng.normal(size=(10_000, 4)) @ rng.normal(size=(4, 36)) / 4)
    return few[rng.integers(len(few), size=jets)].astype(np.float32)


def fpd(jets):
    """FPD of the protocol, 20 draws of 20,000 to 50,000 jets."""
    import jax

    from jetvae_jax import metrics

    x = features_of(jets)
    return lambda: metrics.fpd(jax.random.key(0), x, x)


def kpd(jets):
    """KPD of the protocol, 10 draws of 5,000 jets."""
    import jax

    from jetvae_jax import metrics

    x = features_of(jets)
    return lambda: metrics.kpd(jax.random.key(0), x, x)


def memory_now(peak: bool = False) -> float:
    """Megabytes of this process, now or at most since :func:`forget_peak`."""
    text = pathlib.Path("/proc/self/status").read_text()
    found = re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+)", text)
    return int(found[1]) / 1024 if found else math.nan


def forget_peak() -> float:
    """Megabytes of this process after what is free was given back; a new peak."""
    ctypes.CDLL(None).malloc_trim(0)
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    return memory_now()


def compiled(program: Program, clock: Callable[[], float]):
    """A function that runs the program, and its compile time and memory."""
    import jax

    start = clock()
    executable = program.function.lower(*program.arguments).compile()
    taken, held = clock() - start, [*program.arguments]
    sizes = executable.memory_analysis()
    memory = (sizes.temp_size_in_bytes + sizes.output_size_in_bytes) / 1e6

    def run():
        results = jax.block_until_ready(executable(*held))
        held[: program.state] = results[: program.state]

    return run, {"compile": taken, "memory": memory}


def measured(
    made: Program | Callable[[], object],
    clock: Callable[[], float],
    seconds: float,
    expected: float,
) -> dict[str, float]:
    """Time, compile time and memory of a call that is expected to take so long."""
    run, found, steps = made, {}, 1
    if isinstance(made, Program):
        (run, found), steps = compiled(made, clock), made.steps

    def call() -> float:
        start = clock()
        run()
        return clock() - start

    if expected < LONG:
        call()  # what a function of NumPy compiles, caches
    before, end, taken = forget_peak(), time.perf_counter() + seconds, [call()]
    while expected < LONG and (len(taken) < 3 or time.perf_counter() < end):
        taken.append(call())
    found.setdefault("memory", memory_now(peak=True) - before)
    return {"time": statistics.median(taken) / steps} | found


def work(case: Case, sizes, clock, seconds: float, limit: float) -> None:
    """Prints a line of JSON for each size, until the next would take too long."""
    import jax

    jax.config.update("jax_enable_compilation_cache", False)
    last, taken = 1, 0.0
    for size in sizes:
        expected = taken * (size / last) ** max(case.time, 1.0)
        if expected > limit:
            break
        run = globals()[case.work](**{case.variable: size})
        found = measured(run, clock, seconds, expected)
        last, taken = size, found["time"]
        print(json.dumps({"size": size, **found}), flush=True)
        del run


def exponent(sizes, values, floor: float) -> float | None:
    """The power of the size, fitted to the last three values above the floor."""
    points = [(s, v) for s, v in zip(sizes, values, strict=True) if v and v > floor]
    if len(points) < 2:
        return None
    logs = [(math.log(s), math.log(v)) for s, v in points[-3:]]
    x0, y0 = (statistics.fmean(axis) for axis in zip(*logs, strict=True))
    over = sum((x - x0) * (y - y0) for x, y in logs)
    return over / sum((x - x0) ** 2 for x, _ in logs)


def summary(case: Case, points: list[dict]) -> dict:
    """The exponents of a case beside those that must be."""
    sizes = [point["size"] for point in points]
    fits = {
        kind: exponent(sizes, [point.get(kind) for point in points], floor)
        for kind, floor in FLOORS.items()
    }
    must = {kind: getattr(case, kind) for kind in KINDS}
    worse = [
        k for k, fit in fits.items() if fit is not None and fit > must[k] + TOLERANCE
    ]
    return {
        "work": case.work,
        "variable": case.variable,
        "points": points,
        "exponents": {
            k: fit if fit is None else round(fit, 2) for k, fit in fits.items()
        },
        "must": must,
        "worse": worse,
    }


def line(found: dict) -> str:
    """A summary as a line of text."""
    parts = []
    for kind, fit in found["exponents"].items():
        if fit is not None:
            mark = "!" if kind in found["worse"] else ""
            parts.append(f"{kind} ^{fit:.2f}{mark} (must be {found['must'][kind]:g})")
    last = found["points"][-1] if found["points"] else {}
    values = ", ".join(f"{k} {last[k]:.3g} {u}" for k, u in KINDS.items() if k in last)
    name = f"{found['work']} by {found['variable']}"
    return f"{name}: {'; '.join(parts)}; at {last.get('size', 0):,}: {values}"


def short(number: float) -> str:
    """A size on an axis: 300, 10k, 1M."""
    for unit, name in ((10**6, "M"), (1000, "k")):
        if number >= unit:
            return f"{number / unit:g}{name}"
    return f"{number:g}"


def curves(panel, results: list[dict], kind: str, styles: dict[str, dict]) -> None:
    """Draws one kind of measurement of some cases, each with its exponent."""
    from matplotlib.ticker import NullFormatter

    ticks, values = set(), []
    for found in results:
        points = [(p["size"], p[kind]) for p in found["points"] if p.get(kind)]
        if not points:
            continue
        style = styles[found["work"]]
        panel.plot(*zip(*points, strict=True), **style, markersize=4, linewidth=1.2)
        if (fit := found["exponents"][kind]) is not None:
            panel.annotate(
                f"{round(fit, 1) + 0.0:.1f}", points[-1], (5, -3),
                textcoords="offset points", color=style["color"], fontsize=8,
            )  # fmt: skip
        ticks |= {size for size, _ in points}
        values += [value for _, value in points]
    if not values:
        panel.set_axis_off()
        return
    shown = []
    for size in sorted(ticks):
        if not shown or size >= 1.8 * shown[-1]:
            shown.append(size)
    panel.set(xscale="log", yscale="log", xticks=shown, xticklabels=map(short, shown))
    panel.set_xlim(right=max(ticks) * (max(ticks) / min(ticks)) ** 0.2)
    low, high = min(values), max(values)
    middle, reach = math.sqrt(low * high), max(2 * math.sqrt(high / low), 10)
    panel.set_ylim(middle / reach, middle * reach)
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.grid(alpha=0.3, linewidth=0.5)


def picture(results: list[dict], path: pathlib.Path) -> None:
    """Curves of time, compile time and memory, with their exponents."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    matplotlib.use("agg")
    variables = list(dict.fromkeys(found["variable"] for found in results))
    works = dict.fromkeys(found["work"] for found in results)
    styles = {
        work: {"color": f"C{i % 10}", "marker": "osv^D<>Pphd*"[i % 12]}
        for i, work in enumerate(works)
    }
    size = (2.9 * len(variables), 2.5 * len(KINDS) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(KINDS), len(variables), squeeze=False)
    for row, (kind, unit) in zip(axes, KINDS.items(), strict=True):
        for panel, variable in zip(row, variables, strict=True):
            some = [found for found in results if found["variable"] == variable]
            curves(panel, some, kind, styles)
            panel.set(xlabel=variable, ylabel=f"{kind} [{unit}]")
    lines = [Line2D([], [], label=w.replace("_", " "), **styles[w]) for w in works]
    figure.legend(handles=lines, loc="outside lower center", ncols=6, frameon=False)
    figure.savefig(path, dpi=80)


def flags() -> argparse.Namespace:
    """The flags of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="all sizes")
    parser.add_argument("--only", default="", help="kinds of work, separated by commas")
    parser.add_argument("--sizes", default="", help="instead of those of the cases")
    parser.add_argument("--threads", type=int, default=1, help="cores to use")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each point")
    parser.add_argument("--limit", type=float, help="seconds of a call; 60, full 600")
    parser.add_argument("--cpu", action="store_true", help="processor time")
    parser.add_argument("--json", type=pathlib.Path, default=HERE / "growth.json")
    parser.add_argument("--picture", type=pathlib.Path, default=PICTURE)
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    parser.add_argument("--case", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.limit = given.limit or (600.0 if given.full else 60.0)
    known = dict.fromkeys(case.work for case in CASES)
    given.only = [name for name in given.only.split(",") if name] or [*known]
    if unknown := {*given.only} - {*known}:
        names = ", ".join(sorted(unknown))
        parser.error(f"--only={names}: choose from {', '.join(known)}")
    return given


def in_this_process(given: argparse.Namespace) -> None:
    """Measures the case of the flags."""
    import timing  # beside this script

    timing.pin(given.threads)
    case = CASES[given.case]
    sizes = [*case.sizes, *(case.more if given.full else ())]
    if given.sizes:
        sizes = [int(size) for size in given.sizes.split(",")]
    clock = time.process_time if given.cpu else time.perf_counter
    work(case, sizes, clock, given.seconds, given.limit)


def in_another_process(number: int, before: list[dict]) -> dict:
    """The summary of a case, whose line is printed.

    Args:
        number: of the case.
        before: points of an earlier run on this machine; those of other sizes stay.
    """
    command = [sys.executable, __file__, f"--case={number}", *sys.argv[1:]]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    points = [json.loads(text) for text in child.stdout.splitlines()]
    new = {point["size"] for point in points}
    points += [point for point in before if point["size"] not in new]
    points.sort(key=lambda point: point["size"])
    found = summary(CASES[number], points)
    ended = f"; ended with exit code {child.returncode}" if child.returncode else ""
    print(line(found) + ended, flush=True)
    return found


def main() -> None:
    """Measure, print a line for each case, write the JSON and the picture."""
    given = flags()
    if given.case is not None:
        in_this_process(given)
        return
    import timing  # beside this script

    about = {
        "machine": timing.processor(),
        "threads": given.threads,
        "time": "processor" if given.cpu else "wall clock",
        "python": platform.python_version(),
    }
    results, same = {}, False
    if given.json.exists():
        old = json.loads(given.json.read_text())
        results = {(each["work"], each["variable"]): each for each in old["results"]}
        same = old["about"] == about
    chosen = [number for number, case in enumerate(CASES) if case.work in given.only]
    for number in [] if given.draw else chosen:
        case = CASES[number]
        before = results.get((case.work, case.variable), {}) if same else {}
        found = in_another_process(number, before.get("points", []))
        results[case.work, case.variable] = found
        text = {"about": about, "results": [*results.values()]}
        given.json.write_text(json.dumps(text, indent=1) + "\n")
    picture([*results.values()], given.picture)
    for found in results.values():
        for kind in found["worse"]:
            print(
                f"! {found['work']}: {kind} grows as {found['variable']}"
                f"^{found['exponents'][kind]}, it should as ^{found['must'][kind]:g}"
            )


if __name__ == "__main__":
    main()
