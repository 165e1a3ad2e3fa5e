"""The autoregressive VAE: sampling and training, against the peak of matrix products.

    python benchmarks/autoregressive.py --threads=1
    python benchmarks/autoregressive.py --threads=2 --jets=100

The network is that of ``experiments/flagfiles/autoregressive_gluon30.txt``, with random
weights. Its operations are those of its dense layers and of its attention, two for
each multiplication; a gradient counts three times those of the forward pass. The
peak is that of products of 1024 x 1024 matrices in float32. The runs alternate, so that
what else the machine does hits all of them; shares are those of the medians.
"""

import argparse
import os

from conv_vae import medians

SIDE, PRODUCTS = 1024, 10  # as long as the other runs, which share the machine too
PARTICLES, CONDITIONS = 30, 1


def operations(params, config, *, encoder):
    """Floating-point operations of a jet, forward."""
    import jax

    def dense(tree):
        return sum(a.size for a in jax.tree.leaves(tree) if a.ndim == 2)

    decoder = dict(params["decoder"])
    decoder.pop("place"), decoder.pop("start")
    given = decoder.pop("given")  # once a jet
    once, each = dense(given), dense(decoder)
    n = PARTICLES
    attention = config.num_layers * n * n * config.width * 2
    total = once + n * each + attention
    if encoder:
        inner = dict(params["encoder"])
        once = dense([inner.pop(name) for name in ("hidden", "posterior", "given")])
        attention = config.encoder_layers * n * n * config.encoder_width * 2
        total += once + n * dense(inner) + attention
    return 2 * total


def work(num_jets):
    """Closures: sampling, training and the product; and their operations."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jetvae_jax.core.types import Batch, Context, Task
    from jetvae_jax.models import autoregressive_vae as ar

    config = ar.Config(num_particles=PARTICLES, num_conditions=CONDITIONS)
    task = Task(PARTICLES, 3, num_conditions=CONDITIONS)
    model = ar.model(config, task)
    params = jax.jit(model.init)(jax.random.key(0))
    rng = np.random.default_rng(0)
    pt = -np.sort(-rng.dirichlet(np.full(PARTICLES, 0.3), num_jets), axis=-1)
    x = np.stack([pt, *rng.normal(0, 0.1, (2, num_jets, PARTICLES))], axis=-1)
    context = Context(jnp.ones((num_jets, 3)), jnp.zeros((num_jets, CONDITIONS)))
    mask = jnp.ones((num_jets, PARTICLES), bool)
    batch = Batch(jnp.asarray(x, jnp.float32), mask, context)

    sample = jax.jit(model.sample)
    gradient = jax.jit(jax.grad(lambda *a: jnp.mean(model.loss(*a)[0])))

    @jax.jit
    def product(matrix):
        def body(_, x):
            return jnp.tanh(matrix @ x / SIDE)

        return jax.lax.fori_loop(0, PRODUCTS, body, matrix)

    matrix = jnp.asarray(rng.normal(size=(SIDE, SIDE)), jnp.float32)
    key = jax.random.key(1)
    functions = {
        "product": lambda: jax.block_until_ready(product(matrix)),
        "sampling": lambda: jax.block_until_ready(sample(params, key, context)),
        "gradient": lambda: jax.block_until_ready(gradient(params, key, batch)),
    }
    counts = {
        "product": PRODUCTS * 2 * SIDE**3,
        "sampling": num_jets * operations(params, config, encoder=False),
        "gradient": 3 * num_jets * operations(params, config, encoder=True),
    }
    return functions, counts


def main():
    """Print a line for each: jets a second, operations a jet, share of the peak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="cores to use")
    parser.add_argument("--jets", type=int, default=1000, help="jets of a batch")
    parser.add_argument("--seconds", type=float, default=30.0)
    args = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-args.threads :])
    functions, counts = work(args.jets)
    times = dict(zip(functions, medians(functions.values(), args.seconds), strict=True))
    speed = {name: counts[name] / times[name] for name in times}
    print(f"peak: {speed['product'] / 1e9:.0f} GFLOP/s on {args.threads} threads")
    for name in ("sampling", "gradient"):
        print(
            f"{name}, {args.jets} jets: {args.jets / times[name]:.0f} jets/s, "
            f"{counts[name] / args.jets / 1e6:.1f} MFLOP a jet, "
            f"{100 * speed[name] / speed['product']:.0f} % of the peak"
        )


if __name__ == "__main__":
    main()
