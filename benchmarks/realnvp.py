"""RealNVP: couplings scanned, as here, against an unrolled ``distrax.Chain``.

    python benchmarks/realnvp.py --threads=1 --couplings=8,20

Compile time and time of one step (negative log-likelihood, backward, Adam; 30
coordinates, hidden layers 128, 128). The chain holds distrax's MaskedCoupling, as in
its own example. Steps alternate; each time is a median.
"""

import argparse
import functools
import time

import timing

DIM, HIDDEN = 30, (128, 128)


def networks(num_couplings):
    """``{name: (log_prob, params)}`` of both flows."""
    import distrax
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jetvae_jax.core.layers import MLP, apply, init
    from jetvae_jax.densities import realnvp

    config = realnvp.Config(num_couplings=num_couplings, hidden=HIDDEN)
    flow = realnvp.build(config, dim=DIM)
    mlp = MLP(HIDDEN, 2 * DIM, last_scale=0.0)

    def affine(raw):
        log_scale, shift = jnp.split(raw, 2, axis=-1)
        return distrax.ScalarAffine(shift, log_scale=2 * jnp.tanh(log_scale / 2))

    def chain_log_prob(params, z):
        layers = [
            distrax.MaskedCoupling(
                np.arange(DIM) % 2 == k % 2,
                functools.partial(apply, mlp, layer),
                affine,
            )
            for k, layer in enumerate(params)
        ]
        base = distrax.MultivariateNormalDiag(jnp.zeros(DIM), jnp.ones(DIM))
        return distrax.Transformed(base, distrax.Chain(layers)).log_prob(z)

    key = jax.random.key(0)
    params = [
        init(mlp, k, jnp.zeros(DIM)) for k in jax.random.split(key, num_couplings)
    ]
    return {
        "scanned": (flow.log_prob, flow.init(key)),
        "chain": (chain_log_prob, params),
    }


def compiled(log_prob, params, z):
    """Seconds to compile a step, and a closure that runs it."""
    import jax
    import jax.numpy as jnp
    import optax

    tx = optax.adam(1e-4)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state, z):
        def loss(params):
            return -jnp.mean(log_prob(params, z))

        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = tx.update(gradient, state)
        return optax.apply_updates(params, updates), state, value

    held = [params, tx.init(params)]
    start = time.perf_counter()
    executable = step.lower(*held, z).compile()
    seconds = time.perf_counter() - start

    def run():
        *held[:], value = executable(*held, z)
        return value.block_until_ready()

    return seconds, run


def main():
    """Print a line for each number of couplings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="cores to use")
    parser.add_argument("--couplings", default="8,20", help="numbers to try")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each number")
    args = parser.parse_args()
    timing.pin(args.threads)

    import jax

    z = jax.random.normal(jax.random.key(1), (args.batch, DIM))
    for num_couplings in map(int, args.couplings.split(",")):
        flows = networks(num_couplings)
        made = {name: compiled(*flow, z) for name, flow in flows.items()}
        runs = {name: run for name, (_, run) in made.items()}
        times = timing.medians(runs, args.seconds)
        step = {name: 1e3 * taken for name, taken in times.items()}
        print(
            f"K={num_couplings}, batch {args.batch}: compile "
            f"{made['scanned'][0]:.1f} s scanned, {made['chain'][0]:.1f} s chain "
            f"({made['chain'][0] / made['scanned'][0]:.1f}x); step "
            f"{step['scanned']:.2f} ms scanned, {step['chain']:.2f} ms chain "
            f"({step['chain'] / step['scanned']:.1f}x)"
        )


if __name__ == "__main__":
    main()
