"""A trained generator of jets as one function of random numbers, for other software.

The exported function contains the map of the flow, the decoder, the inverse of the
scaling and the rule which particles exist; its random numbers are inputs, since other
software has other generators of them::

    particles [J, N, 3], mask [J, N], inside [J] = generate(normal, uniform, axis,
                                                            condition)

Only the inputs that the model reads are there, all float32:

- ``normal [J, A]``: standard normal numbers;
- ``uniform [J, B]``: numbers from 0 to 1, 1 excluded;
- ``axis [J, 3]``: pt [GeV], eta and phi of the jet, for relative features;
- ``condition [J, G]``: pt and mass in GeV, eta, multiplicity, and one number for each
  type, 1 for that of the jet and else 0.

``particles`` are momenta (px, py, pz) in GeV, zero where ``mask`` is False. ``inside``
is False for the few jets whose latents lie where no training jet had them: draw these
again, as :mod:`jetvae_jax.densities.normal` does.

A format is one file in :mod:`~jetvae_jax.runs.export.formats`, named like the suffix of
what it writes.
"""

from jetvae_jax.core import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "ExportConfig": "writing",
        "description": "writing",
        "Exported": "generator",
        "export": "writing",
        "exported": "generator",
    },
)
