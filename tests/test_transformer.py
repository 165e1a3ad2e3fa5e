"""The transformer of the classifier test: what it is given, and what it finds."""

import jax
import numpy as np
import pytest

from jetvae_jax import metrics
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import RelativeJets
from jetvae_jax.metrics import c2st
from jetvae_jax.metrics.classifier import transformer, two_sample
from jetvae_jax.report import tables

KEY = jax.random.key(3)


def jets(seed, num_jets=300, num_particles=6, *, like_the_next=0.0):
    """Particles with Gaussian angles; pairs of them may have alike ones.

    However alike, each particle's own distribution is the same.
    """
    rng = np.random.default_rng(seed)
    angles = rng.normal(size=(num_jets, num_particles, 2))
    own = np.sqrt(1 - like_the_next**2)
    angles[:, 1::2] = like_the_next * angles[:, ::2] + own * angles[:, 1::2]
    ptrel = np.full((num_jets, num_particles), 1 / num_particles)
    x = np.concatenate([ptrel[..., None], 0.1 * angles], axis=-1)
    return RelativeJets(x.astype(np.float32), np.ones(x.shape[:2], bool))


@pytest.mark.slow
def test_pairs_that_are_near_are_found():
    real, other = jets(0), jets(1, like_the_next=0.95)
    found = c2st(KEY, real, other, classifier="transformer", epochs=5)
    assert found["auc"] > 0.5 + 10 * found["error"]


def random_jet(seed=0, count=5):
    rng = np.random.default_rng(seed)
    pt = np.sort(rng.dirichlet(np.ones(count)))[::-1]
    return pt, rng.normal(size=(count, 2))


def test_sums_and_pairs_equal_loops_in_float64():
    pt, angles = random_jet()
    sums = np.asarray(transformer._sums(np.float32(pt), np.float32(angles)))
    for i in range(len(pt)):
        weight = pt[: i + 1] / pt[: i + 1].sum()
        centroid = weight @ angles[: i + 1]
        away = np.square(angles[: i + 1] - centroid).sum(-1)
        width = max(weight @ away, 1e-6)
        expected = [pt[: i + 1].sum(), *centroid, np.log(width) / 3,
                    np.log(pt[i] / pt[: i + 1].sum()) / 3]  # fmt: skip
        # One particle has no width: what is left of it is rounding.
        some = slice(None) if i else [0, 1, 2, 4]
        np.testing.assert_allclose(sums[i][some], np.array(expected)[some], atol=1e-4)
    pairs = transformer._pairs(np.float32(pt), np.float32(angles))
    for i in range(len(pt)):
        for j in set(range(len(pt))) - {i}:
            distance = np.hypot(*(angles[i] - angles[j]))
            softer = min(pt[i], pt[j])
            expected = [
                2 * np.log(distance) / 3,
                2 * np.log(softer * distance) / 6,
                np.log(softer / (pt[i] + pt[j])) / 3,
                np.log(pt[i] * pt[j] * distance**2) / 6,
            ]
            np.testing.assert_allclose(pairs[i, j], expected, atol=1e-4)


def test_padding_and_order_have_no_influence():
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.dirichlet(np.ones(6), 20)[..., None], rng.normal(size=(20, 6, 2))], -1
    )
    mask = np.arange(6) < rng.integers(0, 7, 20)[:, None]
    x = np.where(mask[..., None], x, 0).astype(np.float32)
    net = transformer.transformer()
    inputs = net.inputs((x, mask))
    params = net.start(KEY, *inputs((x, mask)))
    # The last layer starts from almost nothing.
    params = params | {"head": jax.tree.map(lambda a: a + 0.1, params["head"])}
    score = jax.jit(net.score)
    expected = score(params, *inputs((x, mask)))
    assert np.isfinite(expected).all() and np.std(expected) > 0.1
    order = rng.permutation(6)
    found = score(params, *inputs((x[:, order], mask[:, order])))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_gradients_are_finite_for_jets_without_width_or_particles():
    x = np.zeros((3, 4, 3), np.float32)
    x[0, 0] = x[1, :2] = [0.5, 0.1, 0.2]  # one particle; two that coincide; none
    mask = x[..., 0] > 0
    net = transformer.transformer()
    inputs = net.inputs((x, mask))((x, mask))
    params = net.start(KEY, *inputs)
    gradient = jax.jit(jax.grad(lambda p: net.score(p, *inputs).sum()))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_an_unknown_classifier_is_one_line():
    with pytest.raises(InputError, match="must be deep_set or transformer, got 'tree'"):
        c2st(KEY, jets(0, 10), jets(1, 10), classifier="tree")  # pyright: ignore


def test_an_evaluation_has_both_classifiers(make_jets, monkeypatch):
    called = {}

    def found(key, real, generated, *, classifier):
        called[classifier] = len(real.mask), len(generated.mask)
        return {"auc": 0.625 if classifier == "transformer" else 0.5, "error": 0.01}

    monkeypatch.setattr(two_sample, "c2st", found)
    measured = {}
    result = metrics.evaluate(
        KEY, make_jets(40, seed=0), {"flow": make_jets(40, seed=1)},
        protocol=(), classify=["deep_set", "transformer"],
        measured=measured.__setitem__,
    )  # fmt: skip
    assert list(measured) == ["real", "flow"]
    assert called == {"deep_set": (40, 40), "transformer": (40, 40)}
    row = "transformer AUC, best 0.5"
    line = next(x for x in metrics.table(result).splitlines() if row in x)
    assert "0.625" in line and "0.010" in line
    assert "transformer,auc,0.625,0.01" in metrics.csv(result)
    shown = str(tables.headline(result))
    assert "classifier AUC, best 0.5" in shown and row in shown
