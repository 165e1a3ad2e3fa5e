"""An accelerator in 8 minutes: correctness, speed, trainings. See gpu.sh.

    python benchmarks/gpu.py --output=gpu.json
    JAX_PLATFORMS=cpu python benchmarks/gpu.py --small --output=cpu.json

Parts, of which one that fails does not stop the others:

- ``correctness``: Chamfer and its gradient against float64 loops of NumPy; a flow and
  its inverse; losses of the same short training on this device and on the CPU.
- ``chamfer``: time of value and gradient, beside the operations that the device does
  in a product of matrices and the bytes that it copies, and torch if it is installed;
  time of the search alone, by XLA and by a Pallas kernel.
- ``generators``: jets/s of each generator, random weights, float32 and with products
  in bfloat16.
- ``convae``: the published ConVAE, until it stops improving or its time is over.
- ``record``: the autoregressive VAE, half as wide again and one layer deeper.

Trainings are commands of ``experiments/`` with workdirs in ``--workdir``. Stopped by
the time limit, they continue when this is run again.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import traceback

import timing

ROOT = pathlib.Path(__file__).parent.parent
PARTICLES = 30
PRODUCTS = "FLOP/s of products"


def correctness(options) -> dict:
    """What is computed here is right."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    from jetvae_jax.densities import realnvp
    from jetvae_jax.losses import chamfer_distance
    from jetvae_jax.models import conv_vae

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 8, PARTICLES, 3)).astype(np.float32)
    value, gradient = jax.jit(
        jax.value_and_grad(lambda x: chamfer_distance(x, y).sum())
    )(x)
    wanted, slope = 0.0, np.zeros(x.shape)
    for jet, (a, b) in enumerate(zip(x.astype(float), y.astype(float), strict=True)):
        squared = ((a[:, None] - b) ** 2).sum(-1)
        near, back = squared.argmin(1), squared.argmin(0)
        wanted += squared.min(1).sum() + squared.min(0).sum()
        slope[jet] += 2 * (a - b[near])
        np.add.at(slope[jet], back, 2 * (a[back] - b))
    found = {"chamfer": abs(float(value) / wanted - 1)}
    found["chamfer gradient"] = float(abs(gradient - slope).max())

    flow = realnvp.build(realnvp.Config(), dim=PARTICLES)
    params = flow.init(jax.random.key(0))
    params = jax.tree.map(lambda a: a + 0.05 * rng.normal(size=a.shape), params)
    with jax.default_matmul_precision("highest"):
        u = rng.normal(size=(1000, PARTICLES)).astype(np.float32)
        back = flow.inverse(params, flow.forward(params, u)[0])[0]
    found["flow and back"] = float(abs(back - u).max())

    sizes = conv_vae.Config(filters=(8, 16), hidden=(64,), latent_dim=8)
    vae, tx = conv_vae.build(sizes), optax.adam(1e-3)

    def losses(device):
        with jax.default_device(device), jax.default_matmul_precision("highest"):
            batch = jnp.asarray(abs(rng_of_training(100)))
            params = vae.init(jax.random.key(0))

            def loss(params):
                z = vae.encode(params, batch, jnp.ones(batch.shape[:-1], bool))[0]
                return chamfer_distance(batch, vae.decode(params, z)).mean()

            def step(carry, _):
                value, gradient = jax.value_and_grad(loss)(carry[0])
                updates, state = tx.update(gradient, carry[1])
                return (optax.apply_updates(carry[0], updates), state), value

            run = jax.jit(lambda c: jax.lax.scan(step, c, length=options.steps)[1])
            return np.asarray(run((params, tx.init(params))))

    here, there = (losses(jax.devices(kind)[0]) for kind in (None, "cpu"))
    found["loss falls to"] = float(here[-1] / here[0])
    found["first losses beside the CPU's"] = float(abs(here / there - 1)[:10].max())
    found["last loss beside the CPU's"] = float(here[-1] / there[-1] - 1)
    right = (
        found["chamfer"] < 1e-5
        and found["chamfer gradient"] < 1e-4
        and found["flow and back"] < 1e-3
        and found["first losses beside the CPU's"] < 1e-3
        and abs(found["last loss beside the CPU's"]) < 0.1
    )
    return {"right": bool(right), **found}


def rng_of_training(jets):
    """Features of a batch, the same each time."""
    import numpy as np

    return np.random.default_rng(1).normal(size=(jets, PARTICLES, 3)).astype("f4")


def chamfer(options) -> list[dict]:
    """Time of value and gradient, and the limits of the device."""
    import jax
    import jax.numpy as jnp

    from jetvae_jax.losses import chamfer_distance

    side = 1024 if options.small else 8192
    matrix = jnp.ones((side, side), jnp.float32)
    stream = jnp.ones(1 << (24 if options.small else 28), jnp.float32)
    multiply, copy = jax.jit(lambda a: a @ a), jax.jit(lambda a: a * 2)
    times = timing.medians(
        {
            "product": lambda: multiply(matrix).block_until_ready(),
            "copy": lambda: copy(stream).block_until_ready(),
        },
        options.seconds,
    )
    limits = {
        PRODUCTS: 2 * side**3 / times["product"],
        "bytes/s": 8 * stream.size / times["copy"],
    }
    step = jax.jit(
        jax.value_and_grad(lambda x, y: chamfer_distance(x, y).sum(), argnums=(0, 1))
    )
    rows: list[dict] = [{"device": str(jax.devices()[0]), **limits}]
    sizes = ((100, 30), (10_000, 30), (1000, 150), (1, 2048))
    for jets, particles in sizes[:: 2 if options.small else 1]:
        x, y = (
            jax.random.normal(jax.random.key(i), (jets, particles, 3)) for i in (0, 1)
        )
        functions = {"ours": lambda x=x, y=y: jax.block_until_ready(step(x, y))}
        functions |= torch_chamfer(x, y)
        times = timing.medians(functions, options.seconds)
        # Three differences, squares and sums of each pair, both directions in one.
        operations = 9 * jets * particles**2
        rows.append(
            {
                "jets": jets,
                "particles": particles,
                "seconds": times,
                "operations/s": operations / times["ours"],
                "share of products": operations / times["ours"] / limits[PRODUCTS],
                "search": searches(x, y, options),
            }
        )
    return rows


def searches(x, y, options) -> dict:
    """Seconds of the search of nearest neighbours, by XLA and by a Pallas kernel."""
    import jax
    import pallas_chamfer

    from jetvae_jax.losses.distances import chamfer

    on_cpu = jax.default_backend() == "cpu"
    kernels = {"xla": chamfer.nearest_indices}
    if not on_cpu:
        kernels["pallas"] = jax.jit(pallas_chamfer.nearest_indices)
    try:
        functions = {
            name: lambda f=f: jax.block_until_ready(f(x, y))
            for name, f in kernels.items()
        }
        found = timing.medians(functions, options.seconds)
    except Exception as error:  # the kernel is no part of the package
        return {"failed": f"{type(error).__name__}: {error}"[:300]}
    if not on_cpu:
        ours, theirs = (f(x, y) for f in kernels.values())
        same = [float((a == b).mean()) for a, b in zip(ours, theirs, strict=True)]
        found["same neighbours"] = min(same)
    return found


def torch_chamfer(x, y) -> dict:
    """``torch.cdist`` on the same device, if torch is there."""
    try:
        import torch
        from rivals import networks
    except ImportError:
        return {}
    import numpy as np

    device = "cuda" if torch.cuda.is_available() else "cpu"
    leaves = [
        torch.tensor(np.asarray(a), device=device, requires_grad=True) for a in (x, y)
    ]

    def run():
        torch.autograd.grad(networks.chamfer(*leaves), leaves)
        if device == "cuda":
            torch.cuda.synchronize()

    return {"torch.cdist": run}


def generators(options) -> dict:
    """Jets/s of generators with the published sizes; of the ConVAE by a flow, too."""
    import jax
    import jax.numpy as jnp

    from jetvae_jax import models
    from jetvae_jax.core.types import Context, Task
    from jetvae_jax.densities import realnvp

    jets = 200 if options.small else 20_000
    context = Context(jnp.ones((jets, 3)), jnp.zeros((jets, 0)))
    made = {}
    for name in ("conv_vae", "deepsets_vae", "autoregressive_vae", "mpgan", "epic_gan"):
        module = models.get(name)
        model = module.model(module.Config(), Task(PARTICLES, 3))
        made[name] = model.sample, jax.jit(model.init)(jax.random.key(0))
    name = "conv_vae"
    model = models.get(name).model(models.get(name).Config(), Task(PARTICLES, 3))
    flow = realnvp.build(realnvp.Config(), dim=model.latent_dim)

    def by_flow(params, key, context):
        of_flow, of_model = params
        z = flow.sample(of_flow, key, (jets,))
        return model.decode(of_model, key, z, context)

    made[f"{name} with realnvp"] = (
        by_flow,
        (flow.init(jax.random.key(0)), made[name][1]),
    )
    found: dict = {}
    for name, (sample, params) in made.items():
        for precision in ("float32", "bfloat16"):
            with jax.default_matmul_precision(precision):
                run = jax.jit(sample).lower(params, jax.random.key(1), context)
                run = run.compile()
            time_of = timing.medians(
                {"ours": lambda r=run, p=params: jax.block_until_ready(
                    r(p, jax.random.key(1), context))},
                options.seconds,
            )["ours"]  # fmt: skip
            found[f"{name}, {precision}"] = {"jets/s": jets / time_of}
    return found


def trained(options, name, limit, *flags) -> dict:
    """A training as a command, stopped after so many seconds."""
    workdir = options.workdir / name
    command = [sys.executable, str(ROOT / "experiments" / "train.py"), *flags]
    command += [f"--workdir={workdir}", f"--data.path={options.data}"]
    start = time.perf_counter()
    run = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        _, said = run.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        run.send_signal(signal.SIGTERM)  # it saves its state
        try:
            _, said = run.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            run.kill()
            _, said = run.communicate()
    seconds = time.perf_counter() - start
    if run.returncode not in (0, 128 + signal.SIGTERM):
        last = [f"exit code {run.returncode}", *said.split("\n")]
        last = [line for line in last if line.strip()][-1]
        raise RuntimeError(f"{' '.join(command)}: {last}")
    history = workdir / "vae.metrics.jsonl"
    lines = history.read_text().splitlines() if history.exists() else []
    rows = [json.loads(line) for line in lines]
    found = {
        "command": " ".join(command[1:]),
        "ended": run.returncode == 0,
        "seconds": seconds,
        "epochs": len(rows),
    }
    if not rows:  # stopped within the first
        return found
    best = min(rows, key=lambda row: row["valid/loss"])
    return found | {
        "best epoch": best["epoch"],
        "valid/loss": best["valid/loss"],
        "seconds of an epoch": rows[-1]["seconds"],
    }


def convae(options) -> dict:
    """The published ConVAE: to its end, or as far as the time allows."""
    flags = ["--flagfile=experiments/flagfiles/convae_published.txt"]
    flags += ["--train.patience=30", "--train.batch_size=1000"]
    flags += ["--train.learning_rate=3e-4"]  # of batches ten times larger
    if options.small:
        flags += ["--conv_vae.filters=4,4,4", "--conv_vae.hidden=8"]
        flags += ["--train.num_epochs=2", "--train.batch_size=100"]
    return trained(options, "convae", options.limit, *flags)


def record(options) -> dict:
    """The autoregressive VAE of the results, larger."""
    flags = ["--flagfile=experiments/flagfiles/autoregressive_gluon30.txt"]
    size = {"width": 132, "num_layers": 4, "angle_components": 30}
    if options.small:
        size = {"width": 16, "num_layers": 1, "encoder_width": 16}
        flags += ["--train.num_epochs=1", "--train.warmup_steps=1"]
    flags += [f"--autoregressive_vae.{name}={value}" for name, value in size.items()]
    return trained(options, "record", options.limit, *flags)


PARTS = {f.__name__: f for f in (correctness, chamfer, generators, convae, record)}


def main() -> None:
    """Run the parts and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default="gpu.json")
    parser.add_argument("--workdir", type=pathlib.Path, default="runs/gpu")
    parser.add_argument("--data", default="embedded", help="jets for the trainings")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each timing")
    parser.add_argument(
        "--limit", type=float, default=150.0, help="seconds of each training"
    )
    parser.add_argument("--steps", type=int, default=2000, help="of the short training")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, by commas")
    parser.add_argument("--small", action="store_true", help="sizes for a CPU")
    options = parser.parse_args()
    if unknown := sorted(set(options.only.split(",")) - set(PARTS)):
        sys.exit(f"error: --only={','.join(unknown)}: choose from {', '.join(PARTS)}")
    if not options.output.parent.is_dir():
        sys.exit(f"error: --output={options.output}: its folder does not exist")
    if options.small:
        options.seconds, options.steps = 0.1, 100
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    platforms = os.environ.get("JAX_PLATFORMS", "")
    if platforms and "cpu" not in platforms.split(","):  # correctness compares with it
        os.environ["JAX_PLATFORMS"] = f"{platforms},cpu"
    import jax

    if jax.default_backend() == "cpu" and not options.small:
        sys.exit(
            "error: JAX finds no accelerator here (pip install 'jax[cuda12]'): give "
            "--small for the sizes of a CPU"
        )

    versions = {"python": sys.version.split()[0], "jax": jax.__version__}
    device = {"platform": jax.default_backend(), "kind": jax.devices()[0].device_kind}
    results: dict = {"device": device, "versions": versions}
    for name in options.only.split(","):
        start = time.perf_counter()
        try:
            results[name] = PARTS[name](options)
        except Exception as error:  # the next part can still be measured
            traceback.print_exc()
            results[name] = {"failed": f"{type(error).__name__}: {error}"}
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        options.output.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))
    failed = [n for n in PARTS if "failed" in results.get(n, {})]
    if not results.get("correctness", {}).get("right", True):
        failed.insert(0, "correctness")
    if failed:
        sys.exit(f"error: failed: {', '.join(dict.fromkeys(failed))}")


if __name__ == "__main__":
    main()
