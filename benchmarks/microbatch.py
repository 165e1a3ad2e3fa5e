"""A training step of the autoregressive VAE, its batch at once and by microbatches.

    python benchmarks/microbatch.py
    python benchmarks/microbatch.py --batch=128 --particles=150 --sizes=0,64,32,16

Sizes take turns on one core, with Adam, on random jets. A line is the size
(``--train.microbatch_size``; 0: the batch at once), jets per second, how many times as
fast as the first size, and the memory of the step beside parameters and jets.
"""

import argparse

import timing
from growth import batch_of

STEPS = 2  # in one call


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=512, help="jets")
    parser.add_argument("--particles", type=int, default=30, help="of a jet")
    parser.add_argument("--sizes", default="0,128,64,32,16", help="of a microbatch")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0, help="in all")
    options = parser.parse_args()
    timing.pin(options.threads)

    import jax
    import optax

    from jetvae_jax.core.types import Task
    from jetvae_jax.models import autoregressive_vae as ar
    from jetvae_jax.training import gradient_step

    config = ar.Config(num_particles=options.particles, num_conditions=1)
    model = ar.model(config, Task(options.particles, 3, num_conditions=1))
    batch = jax.device_put(batch_of(options.batch, options.particles, 1))

    def steps_of(size):
        step = gradient_step(
            model.loss, model.init, optax.adam(1e-4), microbatch_size=size
        )

        @jax.jit
        def steps(state, key):
            def one(i, state):
                return step.update(state, jax.random.fold_in(key, i), batch)[0]

            return jax.lax.fori_loop(0, STEPS, one, state)

        state, key = jax.jit(step.init)(jax.random.key(0)), jax.random.key(1)
        compiled = steps.lower(state, key).compile()
        memory = compiled.memory_analysis().temp_size_in_bytes
        return lambda: jax.block_until_ready(compiled(state, key)), memory

    sizes = [int(size) for size in options.sizes.split(",")]
    made = {size: steps_of(size) for size in sizes}
    times = timing.medians({s: call for s, (call, _) in made.items()}, options.seconds)
    for size, (_, memory) in made.items():
        rate = options.batch * STEPS / times[size]
        print(
            f"{size:4d}  {rate:6.0f} jets/s  {times[sizes[0]] / times[size]:5.2f}x"
            f"  {memory / 1e6:8,.0f} MB"
        )


if __name__ == "__main__":
    main()
