"""Fréchet distance of generated digits in the features of the small classifier.

As FID (arXiv:1706.08500), with ``digit_classifier`` in the place of Inception; the
MPGAN study of sparse MNIST (arXiv:2012.00173) used MoNet. Numbers of other classifiers
are no reference, the real-against-real floor is.
"""

from typing import Any

import jax
import numpy as np

from jetvae_jax.errors import InputError
from jetvae_jax.metrics import digit_classifier
from jetvae_jax.metrics.digit_classifier import Classifier
from jetvae_jax.metrics.frechet import frechet_distance, mean_and_covariance
from jetvae_jax.types import Key, PixelSets

DRAWS = 5


def image_frechet(
    key: Key, classifier: Classifier, real: PixelSets, generated: PixelSets
) -> dict[str, Any]:
    """Fréchet distance of generated to real sets, and of real to other real sets.

    In each of five draws the real sets are cut at random into two parts of n, the
    first is compared with n generated sets and with the second: both distances have
    the bias of the same n, which is half of the real sets, or all generated ones.

    Args:
        key: drives the draws.
        classifier: whose features are compared.
        real: sets ``[J, K, 3]`` that the classifier was not trained on.
        generated: sets ``[M, K', 3]``.

    Returns:
        ``frechet`` and ``floor``, means over the draws; ``frechet_std`` and
        ``floor_std``, deviations over them; ``num_sets``, n.

    Raises:
        InputError: n does not exceed the number of features, or NaN in a point.
    """
    size = min(len(real.labels) // 2, len(generated.labels))
    if size <= digit_classifier.FEATURES:
        raise InputError(
            f"image_frechet: {len(real.labels)} real and {len(generated.labels)} "
            f"generated sets: give at least {2 * digit_classifier.FEATURES + 2} and "
            f"{digit_classifier.FEATURES + 1}"
        )
    seen, made = (digit_classifier.features(classifier, s) for s in (real, generated))
    pairs = []
    for draw in range(DRAWS):
        real_key, made_key = jax.random.split(jax.random.fold_in(key, draw))
        order = np.asarray(jax.random.permutation(real_key, len(seen)))
        chosen = np.asarray(jax.random.permutation(made_key, len(made)))[:size]
        first, second = seen[order[:size]], seen[order[size : 2 * size]]
        reference = mean_and_covariance(first)
        pairs.append(
            [
                float(frechet_distance(*reference, *mean_and_covariance(other)))
                for other in (made[chosen], second)
            ]
        )
    (frechet, floor), (frechet_std, floor_std) = np.mean(pairs, 0), np.std(pairs, 0)
    return {
        "frechet": float(frechet),
        "frechet_std": float(frechet_std),
        "floor": float(floor),
        "floor_std": float(floor_std),
        "num_sets": size,
    }
