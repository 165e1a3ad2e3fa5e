"""This package beside what users would pick instead, on the same cores.

    pip install -e '.[benchmark]'
    python benchmarks/compare.py --threads=1
    python benchmarks/compare.py --threads=2 --only=chamfer,generators
    python benchmarks/compare.py --compile

Each work is done by this package and by PyTorch programs, in float32, with random
weights; calls take turns with a product of matrices, the peak of the cores, and with a
sum over an array that no cache holds, the bandwidth of the memory. A line is the median
time of one call, how many times longer each rival takes, and the shares of its time
that the products and the memory alone would take. ``--compile`` adds
``torch.compile``, which needs a C++ compiler and minutes. With two threads PyTorch's
pool stalls on small work while the other core is busy: compare on an idle machine.

``--output=FOLDER`` adds the lines to results.json there, in the place of earlier ones
of the same work and threads, and writes all to RESULTS.md, with machine and versions.
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import timing

PARTICLES, STEPS = 30, 5
CACHED = 2_000_000  # parameters, with what Adam keeps of each


class Work(NamedTuple):
    """One thing to compare.

    Attributes:
        name: of the work, with its size.
        functions: of each program, this package's first; they return when done.
        parts: calls of ``functions`` are divided by this: steps, or jets.
        operations: floating-point operations of one part.
        bytes: that one part moves from and to the memory, where these count: weights.
    """

    name: str
    functions: dict[str, Callable[[], object]]
    parts: dict[str, int]
    operations: float
    bytes: float = 0.0


def normal(*shape, seed=0):
    """Normal numbers in float32."""
    import numpy as np

    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def chamfer(options) -> Iterator[Work]:
    """Nearest-neighbour loss and its gradient to both sets."""
    import jax
    import numpy as np
    import torch
    from rivals import networks

    from jetvae_jax.losses import chamfer_distance

    step = jax.jit(
        jax.value_and_grad(lambda x, y: chamfer_distance(x, y).sum(), argnums=(0, 1))
    )

    def of(jets, particles):
        x, y = (normal(jets, particles, 3, seed=seed) for seed in range(2))
        on_device = jax.device_put((x, y))
        leaves = [torch.tensor(a, requires_grad=True) for a in (x, y)]

        def ours():
            return jax.block_until_ready(step(*on_device))

        def torch_of(loss):
            def run():
                value = loss(*leaves)
                return value.detach(), torch.autograd.grad(value, leaves)

            return run

        functions = {"ours": ours, "torch.cdist": torch_of(networks.chamfer)}
        if options.compile:
            functions["torch.compile"] = torch_of(torch.compile(networks.chamfer))
        (value, grads), (other, other_grads) = ours(), functions["torch.cdist"]()
        np.testing.assert_allclose(value, other, rtol=1e-3)
        for a, b in zip(grads, other_grads, strict=True):
            # cdist loses digits on near ties: most points agree, not each.
            assert np.mean(np.abs(a - b.numpy()) > 1e-2) < 1e-2
        # Both directions: differences, squares and sums of three coordinates.
        operations = 2 * 8 * jets * particles**2
        return Work(f"Chamfer, {jets} x {particles}", functions, {}, operations)

    for size in ((100, 30), (1000, 30), (200, 100), (100, 150), (1, 2048)):
        yield of(*size)


def convae(options) -> Iterator[Work]:
    """A training step of the ConVAE with Chamfer loss, KL and Adam."""
    import jax
    import jax.numpy as jnp
    import optax
    import torch
    from rivals import networks, textbook

    from jetvae_jax.losses import chamfer_distance
    from jetvae_jax.models import conv_vae

    def of(size, filters, hidden, jets):
        vae = conv_vae.build(conv_vae.Config(filters=filters, hidden=(hidden,)))
        tx = optax.adam(1e-4)
        x = jnp.asarray(abs(normal(jets, PARTICLES, 3)))
        noise = jnp.asarray(normal(jets, 30))
        mask = jnp.ones(x.shape[:-1], bool)

        def network(params, x):
            mean, logvar = vae.encode(params, x, mask)
            x_hat = vae.decode(params, mean + jnp.exp(logvar / 2) * noise)
            return x_hat, mean, logvar

        def trainer(network, params):
            def loss(params, x):
                x_hat, mean, logvar = network(params, x)
                kl = 0.5 * jnp.sum(jnp.exp(logvar) + mean**2 - 1 - logvar)
                return chamfer_distance(x, x_hat).sum() + kl

            @jax.jit
            def steps(params, state, x):
                def step(i, carry):
                    params, state = carry
                    gradient = jax.grad(loss)(params, x + 0 * i)  # no step is hoisted
                    updates, state = tx.update(gradient, state)
                    return optax.apply_updates(params, updates), state

                return jax.lax.fori_loop(0, STEPS, step, (params, state))

            held = [params, tx.init(params)]

            def run():
                held[:] = jax.block_until_ready(steps(*held, x))

            return run

        params = vae.init(jax.random.key(0))
        linen = textbook.ConVAE(filters, hidden)
        theirs = jax.jit(linen.init)(jax.random.key(0), x, noise)
        functions = {"ours": trainer(network, params)}
        if jets < 1000:  # it takes ten seconds a step
            run = trainer(lambda p, x: linen.apply(p, x, noise), theirs)
            functions["linen"] = run
        parts = dict.fromkeys(functions, STEPS)
        image = torch.tensor(jax.device_get(x.swapaxes(1, 2)))[:, None]
        torch_noise = torch.tensor(jax.device_get(noise))
        for name in ("torch", "torch.compile")[: 1 + options.compile]:
            net = networks.ConVAE(filters, hidden)
            sizes = [sum(a.size for a in jax.tree.leaves(params))]
            sizes += [sum(p.numel() for p in net.parameters())]
            assert sizes[0] == sizes[1], sizes
            adam = torch.optim.Adam(net.parameters(), 1e-4)

            def value(image, noise, net=net):
                x_hat, mean, logvar = net(image, noise)
                kl = 0.5 * (logvar.exp() + mean**2 - 1 - logvar).sum()
                sets = (a[:, 0].transpose(1, 2) for a in (image, x_hat))
                return networks.chamfer(*sets) + kl

            forward = torch.compile(value) if name == "torch.compile" else value

            def run(forward=forward, adam=adam):
                adam.zero_grad()
                forward(image, torch_noise).backward()
                adam.step()

            functions[name] = run
        operations = 6 * jets * multiplications(filters, hidden)
        # Weights forward and backward, the gradient; Adam reads it and three more, and
        # writes three. A cache holds those of the small network.
        moved = 10 * 4 * sizes[0] if sizes[0] > CACHED else 0
        name = f"ConVAE step, {size}, {jets} jets"
        return Work(name, functions, parts, operations, moved)

    yield of("published", (50, 100, 200), 1500, 100)
    yield of("published", (50, 100, 200), 1500, 1000)
    yield of("small", (8, 16, 32), 128, 100)


def multiplications(filters, hidden, *, decoder_only=False, latent=30):
    """Multiplications of a jet, forward through the ConVAE."""
    channels, width, convolutions = 3, PARTICLES, 0
    for filters_here in filters:
        width -= 4
        convolutions += width * 5 * channels * filters_here
        channels = filters_here
    dense = hidden * channels * width
    decoder = latent * hidden + dense + convolutions
    return (
        decoder
        if decoder_only
        else decoder + dense + 2 * latent * hidden + (convolutions)
    )


def decoder(options) -> Iterator[Work]:
    """The published decoder alone."""
    import jax
    import jax.numpy as jnp
    import torch
    from rivals import networks

    from jetvae_jax.models import conv_vae

    vae = conv_vae.build(conv_vae.Config())
    params = vae.init(jax.random.key(0))
    decode = jax.jit(vae.decode)
    net = networks.ConVAE().eval()
    weights = sum(
        p.numel() for part in (net.up_dense, net.up) for p in part.parameters()
    )

    def of(jets):
        z = normal(jets, 30)
        on_device, tensor = jnp.asarray(z), torch.tensor(z)

        def theirs(function):
            def run():
                with torch.inference_mode():
                    return function(tensor)

            return run

        functions = {"ours": lambda: decode(params, on_device).block_until_ready()}
        functions["torch"] = theirs(net.decode)
        if options.compile:
            functions["torch.compile"] = theirs(torch.compile(net.decode))
        count = multiplications((50, 100, 200), 1500, decoder_only=True)
        name = f"ConVAE decoder, {jets} jets"
        return Work(name, functions, {}, 2 * jets * count, 4 * weights)

    yield from map(of, (1, 100, 1000))


def realnvp(options) -> Iterator[Work]:
    """The flow: a training step of 100 vectors, and 10,000 samples."""
    import jax
    import jax.numpy as jnp
    import optax
    import torch
    from rivals import flows

    from jetvae_jax.densities import realnvp

    del options
    flow = realnvp.build(realnvp.Config(), dim=flows.DIM)
    tx = optax.adam(1e-4)
    z = normal(100, flows.DIM)
    on_device, tensor = jnp.asarray(z), torch.tensor(z)
    steps_of = 50

    @jax.jit
    def steps(params, state, z):
        def step(i, carry):
            params, state = carry
            gradient = jax.grad(lambda p: -flow.log_prob(p, z + 0 * i).mean())(params)
            updates, state = tx.update(gradient, state)
            return optax.apply_updates(params, updates), state

        return jax.lax.fori_loop(0, steps_of, step, (params, state))

    params = flow.init(jax.random.key(0))
    state = [params, tx.init(params)]
    key = jax.random.key(1)
    draw = jax.jit(lambda params, key: flow.sample(params, key, (10_000,)))

    def ours():
        state[:] = jax.block_until_ready(steps(*state, on_device))

    training = {"ours": ours}
    sampling = {"ours": lambda: draw(state[0], key).block_until_ready()}
    for name in ("nflows", "zuko"):
        rival = getattr(flows, name)()
        adam = torch.optim.Adam(rival.parameters(), 1e-4)
        given = (lambda rival=rival: rival) if name == "nflows" else rival

        def train(given=given, adam=adam):
            adam.zero_grad()
            (-given().log_prob(tensor).mean()).backward()
            adam.step()

        def sample(given=given, name=name):
            with torch.no_grad():
                return given().sample(10_000 if name == "nflows" else (10_000,))

        training[name], sampling[name] = train, sample
    each = 2 * flows.COUPLINGS * (15 * 128 + 128 * 128 + 128 * 30)
    name = "RealNVP of 30, 8 couplings"
    parts = {"ours": steps_of}
    yield Work(f"{name}: step, 100 vectors", training, parts, 3 * 100 * each)
    yield Work(f"{name}: 10,000 samples", sampling, {}, 10_000 * each)


def generators(options) -> Iterator[Work]:
    """The autoregressive decoder beside the generators of MPGAN and EPiC-GAN."""
    del options
    import jax
    import jax.numpy as jnp
    import torch
    from rivals import networks

    from jetvae_jax.core.types import Context, Task
    from jetvae_jax.models import autoregressive_vae as ar

    model = ar.model(ar.Config(num_conditions=1), Task(PARTICLES, 3, num_conditions=1))
    params = jax.jit(model.init)(jax.random.key(0))
    sample, key = jax.jit(model.sample), jax.random.key(1)
    rivals = {"MPGAN": networks.MPGAN(), "EPiC-GAN": networks.EPiCGAN()}
    for name, published in (("MPGAN", 361_123), ("EPiC-GAN", 424_850)):
        count = sum(p.numel() for p in rivals[name].parameters())
        assert count == published, (name, count)

    def of(jets):
        context = Context(jnp.ones((jets, 3)), jnp.zeros((jets, 1)))

        def theirs(rival):
            def run():
                with torch.inference_mode():
                    return rival.sample(jets)

            return run

        functions = {
            "ours": lambda: jax.block_until_ready(sample(params, key, context))
        }
        functions |= {name: theirs(rival) for name, rival in rivals.items()}
        return Work(
            f"autoregressive decoder, {jets} jets",
            functions, {}, jets * autoregressive_operations(params),
        )  # fmt: skip

    yield from map(of, (100, 1000))


def autoregressive_operations(params):
    """Operations of its dense layers and its attention for one jet, forward."""
    import jax

    from jetvae_jax.models import autoregressive_vae as ar

    config = ar.Config()

    def dense(tree):
        return sum(a.size for a in jax.tree.leaves(tree) if a.ndim == 2)

    decoder = dict(params["decoder"])
    decoder.pop("place"), decoder.pop("start")
    once, each = dense(decoder.pop("given")), dense(decoder)
    n = PARTICLES
    return 2 * (once + n * each + config.num_layers * n * n * config.width * 2)


WORKS = {f.__name__: f for f in (chamfer, convae, decoder, realnvp, generators)}


def measured(work: Work, options) -> dict:
    """Times of the programs of a work, and of a product of matrices between them."""
    (product, operations), (read, size) = timing.product(), timing.read()
    pause = timing.PAUSE if options.threads > 1 else 0.0
    times = timing.medians(
        {**work.functions, "product": product, "read": read},
        options.seconds,
        pause=pause,
    )
    peak, bandwidth = operations / times.pop("product"), size / times.pop("read")
    times = {name: time / work.parts.get(name, 1) for name, time in times.items()}
    ours = times["ours"]
    return {
        "work": work.name,
        "threads": options.threads,
        "seconds": times,
        "ratios": {n: t / ours for n, t in times.items() if n != "ours"},
        "peak": peak,
        "share": work.operations / ours / peak,
        "bandwidth": bandwidth,
        "share of bandwidth": work.bytes / ours / bandwidth,
    }


def line(row: dict) -> str:
    """A row of the table in Markdown."""
    ratios = ", ".join(f"{n} {ratio:.1f}x" for n, ratio in row["ratios"].items())
    shares = {"products": row["share"], "memory": row.get("share of bandwidth", 0.0)}
    limit = ", ".join(f"{100 * s:.0f} % {n}" for n, s in shares.items() if s >= 0.05)
    time = row["seconds"]["ours"]
    unit, scale = next(u for u in UNITS if time * u[1] >= 1)
    return (
        f"| {row['work']} | {row['threads']} | {time * scale:.3g} {unit} "
        f"| {ratios} | {limit} |"
    )


ABOUT = """\
Median times of one call, or of one training step, in float32 with random weights;
"100 x 30" are 100 jets of 30 particles. "Times as long" is how much longer others take
for the same in the same run (below 1: they are faster). At the limit: the shares of the
time that its operations would take as a product of large matrices, and that its
weights, where no cache holds them, would take at the bandwidth of the memory; a core
does one after the other.
`make bench` makes this file; what is measured is in `benchmarks/compare.py`."""
UNITS = (("s", 1.0), ("ms", 1e3), ("us", 1e6))
HEAD = (
    "| work | threads | this package | times as long | of it at the limit |\n"
    "|---|---|---|---|---|"
)


def keep(folder: pathlib.Path, row: dict) -> None:
    """Add a row to results.json, and write RESULTS.md."""
    store = folder / "results.json"
    rows = json.loads(store.read_text()) if store.exists() else []
    which = (row["work"], row["threads"])
    names = [(old["work"], old["threads"]) for old in rows]
    row = {**row, "machine": machine()}
    if which in names:
        rows[names.index(which)] = row
    else:
        rows.append(row)
    store.write_text(json.dumps(rows, indent=1) + "\n")
    text = ["# This package beside others\n", ABOUT]
    for used in dict.fromkeys(row["machine"] for row in rows):
        text += [f"\n{used}\n", HEAD]
        text += [line(row) for row in rows if row["machine"] == used]
    (folder / "RESULTS.md").write_text("\n".join(text) + "\n")


def machine() -> str:
    """Processor and versions."""
    import platform
    from importlib import metadata

    versions = []
    for name in ("jax", "torch", "nflows", "zuko"):
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return f"{timing.processor()}, Python {platform.python_version()}, " + ", ".join(
        versions
    )


def main() -> None:
    """Measure the works and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each work")
    parser.add_argument("--only", default=",".join(WORKS), help="works, by commas")
    parser.add_argument("--compile", action="store_true", help="torch.compile, too")
    parser.add_argument("--output", type=pathlib.Path, help="folder of the results")
    options = parser.parse_args()
    unknown = sorted(set(options.only.split(",")) - set(WORKS))
    if unknown:
        sys.exit(f"error: --only={','.join(unknown)}: choose from {', '.join(WORKS)}")
    timing.pin(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    print(HEAD, flush=True)
    for name in options.only.split(","):
        for work in WORKS[name](options):
            row = measured(work, options)
            print(line(row), flush=True)
            if options.output:
                keep(options.output, row)


if __name__ == "__main__":
    main()
