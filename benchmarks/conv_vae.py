"""A training step of the ConVAE: this package against plain linen convolutions.

    python benchmarks/conv_vae.py --threads=1
    python benchmarks/conv_vae.py --threads=2 --jets=500 --size=small

One step is forward, mean squared error, backward and Adam, in float32, with donated
state. Both networks have the same layers and number of parameters; the other is the
textbook form, 2-D ``nn.Conv`` and ``nn.ConvTranspose`` on an image of features x
particles. The runs alternate, so that what else the machine does hits both; the
ratio is that of the medians.
"""

import argparse
import functools
import os
import statistics
import time

SIZES = {"published": ((50, 100, 200), 1500), "small": ((8, 16, 32), 128)}
PARTICLES, LATENT = 30, 30


def textbook(filters, hidden):
    """The network by linen's own layers, ``(params, x, noise) -> x_hat``."""
    import jax.numpy as jnp
    from flax import linen as nn

    class Textbook(nn.Module):
        @nn.compact
        def __call__(self, x, noise):
            h = x.swapaxes(-1, -2)[..., None]
            for i, channels in enumerate(filters):
                shape = (3 if i == 0 else 1, 5)
                h = nn.relu(nn.Conv(channels, shape, padding="VALID")(h))
            image = h.shape
            h = nn.relu(nn.Dense(hidden)(h.reshape(len(h), -1)))
            mean, logvar = jnp.split(nn.Dense(2 * LATENT)(h), 2, axis=-1)
            h = nn.relu(nn.Dense(hidden)(mean + jnp.exp(logvar / 2) * noise))
            h = nn.relu(nn.Dense(image[1] * image[2] * image[3])(h)).reshape(image)
            for channels in filters[-2::-1]:
                h = nn.relu(nn.ConvTranspose(channels, (1, 5), padding="VALID")(h))
            h = nn.ConvTranspose(1, (3, 5), padding="VALID")(h)
            return nn.sigmoid(h[..., 0].swapaxes(-1, -2))

    return Textbook()


def steps(size, num_jets):
    """Two closures, ours and the textbook's, that each do one training step."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    from jetvae_jax.models import conv_vae

    filters, hidden = SIZES[size]
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.uniform(size=(num_jets, PARTICLES, 3)), jnp.float32)
    noise = jnp.asarray(rng.normal(size=(num_jets, LATENT)), jnp.float32)
    mask = jnp.ones((num_jets, PARTICLES), bool)
    vae = conv_vae.build(conv_vae.Config(filters=filters, hidden=(hidden,)))
    module = textbook(filters, hidden)

    def ours(params, x, noise):
        mean, logvar = vae.encode(params, x, mask)
        return vae.decode(params, mean + jnp.exp(logvar / 2) * noise)

    def trainer(network, params):
        tx = optax.adam(1e-4)

        @functools.partial(jax.jit, donate_argnums=(0, 1))
        def step(params, state, x, noise):
            def loss(params):
                return jnp.mean(jnp.square(network(params, x, noise) - x))

            value, gradient = jax.value_and_grad(loss)(params)
            updates, state = tx.update(gradient, state)
            return optax.apply_updates(params, updates), state, value

        held = [params, tx.init(params)]

        def run():
            *held[:], value = step(*held, x, noise)
            return value.block_until_ready()

        return run

    key = jax.random.key(0)
    ours_params, other_params = vae.init(key), jax.jit(module.init)(key, x, noise)
    counts = [
        sum(leaf.size for leaf in jax.tree.leaves(params))
        for params in (ours_params, other_params)
    ]
    assert counts[0] == counts[1], counts
    return trainer(ours, ours_params), trainer(module.apply, other_params)


def medians(functions, seconds):
    """Median time of each function, called in turn for about ``seconds`` in all."""
    times = [[] for _ in functions]
    for function in functions:
        function(), function()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 5:
        for function, taken in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def main():
    """Print a line: both times a step, the ratio, jets a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="cores to use")
    parser.add_argument("--jets", type=int, default=100, help="jets of a batch")
    parser.add_argument("--size", choices=SIZES, default="published")
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-args.threads :])
    ours, theirs = medians(steps(args.size, args.jets), args.seconds)
    print(
        f"{args.size}, {args.jets} jets, {args.threads} threads: "
        f"ours {1e3 * ours:.2f} ms, linen {1e3 * theirs:.2f} ms, "
        f"{theirs / ours:.2f}x; {args.jets / ours:.0f} jets/s"
    )


if __name__ == "__main__":
    main()
