"""Energy-flow polynomials: the list of graphs, and every value against plain loops."""

import collections
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import RelativeJets
from jetvae_jax.metrics.measurements.w1efp import w1efp, w1efp_graphs
from jetvae_jax.metrics.polynomials import efp_table, jet_features
from jetvae_jax.metrics.suite.protocols import Draws
from jetvae_jax.observables.energy_flow.contraction import contract
from jetvae_jax.observables.energy_flow.multigraphs import (
    components,
    multigraphs,
    num_vertices,
)
from jetvae_jax.observables.energy_flow.polynomials import efps

ALL = multigraphs(5)

# Operation by operation, XLA would compile each of thousands.
compiled = jax.jit(efps, static_argnames=("graphs", "beta", "normed"))


def make_jets(num_jets, num_particles, seed=0):
    """Jets of one particle or more; the padding holds NaN."""
    rng = np.random.default_rng(seed)
    count = rng.integers(1, num_particles + 1, num_jets)
    mask = np.arange(num_particles) < count[:, None]
    pt = rng.exponential(size=mask.shape)
    pt /= (pt * mask).sum(1, keepdims=True)
    particles = np.stack([pt, *rng.normal(scale=0.2, size=(2, *mask.shape))], -1)
    particles = np.where(mask[..., None], particles, np.nan).astype(np.float32)
    return RelativeJets(particles, mask)


def loops(particles, graph, beta=1.0, normed=False):
    """One jet ``[N, 3]`` in float64, every index tuple one after the other."""
    z, eta, phi = particles.astype(np.float64).T
    if normed:
        z = z / z.sum()
    total = 0.0
    vertices = sorted({v for edge in graph for v in edge}) or [0]
    for indices in itertools.product(range(len(z)), repeat=len(vertices)):
        at = dict(zip(vertices, indices, strict=True))
        term = math.prod(z[i] for i in indices)
        for a, b in graph:
            i, j = at[a], at[b]
            gap = abs(phi[i] - phi[j])
            gap = min(gap, 2 * np.pi - gap)
            term *= math.hypot(eta[i] - eta[j], gap) ** beta
        total += term
    return total


def canonical(graph):
    """The same for isomorphic graphs, different otherwise."""
    vertices = sorted({v for edge in graph for v in edge})
    return min(
        tuple(sorted(tuple(sorted((new[a], new[b]))) for a, b in graph))
        for order in itertools.permutations(range(len(vertices)))
        for new in [dict(zip(vertices, order, strict=True))]
    )


def grown(graphs):
    """Every graph of one edge more, one of each class."""
    found = {}
    for graph in graphs:
        n = max((v for edge in graph for v in edge), default=-1) + 1
        ends = [*itertools.combinations(range(n), 2)]
        ends += [(v, n) for v in range(n)] + [(n, n + 1)]
        for edge in ends:
            found.setdefault(canonical((*graph, edge)), None)
    return list(found)


def test_every_multigraph_is_listed_once():
    graphs, count = [()], []
    for degree in range(1, 5):
        graphs = grown(graphs)
        listed = [canonical(graph) for graph in ALL if len(graph) == degree]
        assert sorted(listed) == sorted(graphs)
        count.append(len(listed))
    assert count == [1, 3, 8, 23]


def test_numbers_of_graphs():
    # OEIS A076864 and A050535: connected and all multigraphs by number of edges.
    by_degree = collections.Counter(map(len, ALL))
    prime = collections.Counter(len(g) for g in ALL if len(components(g)) == 1)
    assert [by_degree[d] for d in range(6)] == [1, 1, 3, 8, 23, 66]
    assert [prime[d] for d in range(6)] == [1, 1, 2, 5, 12, 33]
    assert [len(multigraphs(d)) for d in range(6)] == [1, 2, 5, 13, 36, 102]


def test_degree_five_is_listed_once():
    # Valency, multiplicities and triangles tell the 66 apart without permutations.
    assert len({invariant(g) for g in ALL if len(g) == 5}) == 66


def invariant(graph):
    matrix = np.zeros((10, 10), int)
    for a, b in graph:
        matrix[a, b] += 1
        matrix[b, a] += 1
    powers = [np.linalg.matrix_power(matrix, k) for k in range(1, 8)]
    simple = np.sign(matrix)
    cycles = tuple(int(np.trace(p)) for p in powers)
    rows = sorted(tuple(sorted(row)) for row in (matrix @ simple).tolist())
    parts = tuple(sorted(map(len, components(graph))))
    return cycles, str(rows), parts, str(sorted(matrix.sum(0).tolist()))


def test_order_of_energyflow():
    # As energyflow 1.4.0 numbers them: primes first, by vertices.
    names = [" ".join(f"{a}{b}" for a, b in graph) for graph in multigraphs(3)]
    assert names == [
        *("", "01", "01 01", "01 01 01", "01 02", "01 02 02", "01 02 12"),
        *("01 02 03", "01 02 13"),
        *("01 23", "01 23 23", "01 23 24", "01 23 45"),
    ]


@pytest.mark.parametrize("max_degree", [-1, 6, 2.5])
def test_degrees_beyond_the_list(max_degree):
    with pytest.raises(ValueError, match="max_degree"):
        multigraphs(max_degree)


@pytest.mark.parametrize(
    ("beta", "normed"),
    [
        (2.0, True),
        pytest.param(1.0, False, marks=pytest.mark.slow),
        pytest.param(0.5, False, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_values_against_loops(beta, normed):
    jets = make_jets(3, 4, seed=1)
    graphs = [g for g in ALL if num_vertices(g) <= 6]
    found = compiled(jets, graphs=tuple(graphs), beta=beta, normed=normed)
    for jet, row in enumerate(np.asarray(found)):
        existing = jets.particles[jet][jets.mask[jet]]
        expected = [loops(existing, g, beta, normed) for g in graphs]
        np.testing.assert_allclose(row, expected, rtol=3e-6, atol=1e-12)


def test_composites_are_products():
    jets = make_jets(20, 6)
    column = dict(zip(ALL, np.asarray(compiled(jets, graphs=ALL)).T, strict=True))
    # Compares with the listed primes: components keep the labels of their vertices.
    primes = {canonical(g): column[g] for g in ALL if len(components(g)) == 1}
    for graph in ALL:
        product = math.prod(primes[canonical(part)] for part in components(graph))
        np.testing.assert_allclose(column[graph], product, rtol=1e-5)


def test_two_particles_in_closed_form():
    z, gap = np.array([0.7, 0.2]), 0.3
    particles = np.array([[0.7, 0.1, 0.0], [0.2, 0.1, 0.3]], np.float32)
    jets = RelativeJets(particles, np.ones(2, bool))
    line, double, triangle = ((0, 1),), ((0, 1),) * 2, ((0, 1), (1, 2), (0, 2))
    found = compiled(jets, graphs=((), line, double, triangle))
    pair = 2 * z.prod()
    expected = [z.sum(), pair * gap, pair * gap**2, 0.0]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_azimuth_the_short_way_round():
    near = np.array([[0.5, 0.0, 3.1], [0.5, 0.0, -3.1]], np.float32)
    found = compiled(RelativeJets(near, np.ones(2, bool)), graphs=(((0, 1),),))
    np.testing.assert_allclose(found, [0.5 * (2 * np.pi - 6.2)], rtol=1e-5)


def test_relabelled_graphs_are_equal():
    jets = make_jets(5, 6)
    rng = np.random.default_rng(3)
    moved = []
    for graph in multigraphs(4):
        labels = rng.permutation(20)
        edges = [(int(labels[a]), int(labels[b])) for a, b in graph]
        moved.append(tuple(edges[i] for i in rng.permutation(len(edges))))
    np.testing.assert_allclose(
        compiled(jets, graphs=tuple(moved)),
        compiled(jets, graphs=multigraphs(4)),
        rtol=1e-5,
    )


def test_padding_and_order_do_not_count():
    jets, graphs = make_jets(2, 7), multigraphs(4)
    found = np.asarray(compiled(jets, graphs=graphs))
    for jet, row in enumerate(found):
        existing = jets.particles[jet][jets.mask[jet]][::-1]
        alone = RelativeJets(existing, np.ones(len(existing), bool))
        np.testing.assert_allclose(compiled(alone, graphs=graphs), row, rtol=2e-5)
    empty = RelativeJets(jets.particles, np.zeros_like(jets.mask))
    assert not np.asarray(compiled(empty, graphs=graphs, normed=True)).any()


def test_jit_and_vmap():
    jets = make_jets(4, 5)
    function = lambda j: efps(j, graphs=multigraphs(2), beta=0.7)  # noqa: E731
    plain = function(jets)
    np.testing.assert_allclose(jax.jit(function)(jets), plain, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(jax.vmap(function))(jets), plain, rtol=1e-5)


@pytest.mark.parametrize(
    "beta", [0.5, *(pytest.param(b, marks=pytest.mark.slow) for b in (1.0, 2.0))]
)
def test_gradients(beta):
    jets = make_jets(2, 5)
    graphs = tuple(g for g in multigraphs(3) if g)

    @jax.jit
    def total(particles):
        values = efps(RelativeJets(particles, jets.mask), graphs=graphs, beta=beta)
        return jnp.sum(values * jnp.arange(1.0, len(graphs) + 1))

    check_grads(
        total, (np.nan_to_num(jets.particles),), order=1, modes=["rev"], rtol=2e-2
    )
    coincident = np.tile(jets.particles[:, :1], (1, 5, 1))  # all at one place
    gradient = np.asarray(jax.grad(total)(coincident))
    assert np.isfinite(gradient).all()
    assert not gradient[~jets.mask].any()


@pytest.mark.parametrize("num_jets", [1, 7, 40])
def test_table_is_the_same_in_chunks(num_jets):
    jets = make_jets(num_jets, 5)
    table = efp_table(jets, graphs=multigraphs(2), chunk=3)
    assert table.dtype == np.float32
    np.testing.assert_allclose(table, compiled(jets, graphs=multigraphs(2)), rtol=1e-5)


def test_table_of_no_jets():
    jets = make_jets(3, 5)
    none = RelativeJets(jets.particles[:0], jets.mask[:0])
    assert jet_features(none).shape == (0, 36)


def test_features_are_the_36_of_energyflow():
    jets = make_jets(5, 6)
    features = jet_features(jets)
    assert features.shape == (5, 36)
    total = np.where(jets.mask, jets.particles[..., 0], 0).sum(-1)
    np.testing.assert_allclose(features[:, 0], total, rtol=1e-6)


def test_wrong_arguments():
    jets = make_jets(3, 5)
    with pytest.raises(ValueError, match="beta"):
        efps(jets, graphs=ALL, beta=0.0)
    with pytest.raises(ValueError, match="do not match"):
        efps(RelativeJets(jets.particles[..., :2], jets.mask), graphs=ALL)
    with pytest.raises(ValueError, match=r"\[J, N, 3\]"):
        efp_table(RelativeJets(jets.particles[0], jets.mask[0]), graphs=ALL)
    complete = tuple(itertools.combinations(range(4), 2))
    with pytest.raises(ValueError, match="three neighbours"):
        efps(jets, graphs=(complete,))
    with pytest.raises(ValueError, match="two vertices"):
        efps(jets, graphs=(((0, 0),),))


def test_matrix_products_are_shared():
    """One product of matrices serves all graphs of four edges, three those of five."""
    for degree, expected in ((4, 1), (5, 3)):
        graphs = multigraphs(degree)
        text = str(
            jax.make_jaxpr(lambda z, t, g=graphs: contract(g, z, t))(
                jnp.ones(5), jnp.ones((5, 5))
            )
        )
        assert text.count("dot_general") == expected


def test_w1efp_graphs():
    assert len(w1efp_graphs()) == 5
    for graph in w1efp_graphs():
        assert len(graph) == num_vertices(graph) == 4


def test_w1efp_of_scaled_jets():
    # Every polynomial of four vertices is of fourth order in pt: W1 in closed form.
    real = make_jets(300, 6)
    generated = RelativeJets(real.particles * np.float32([1.1, 1, 1]), real.mask)
    draws = Draws(300, 2, replace=False)
    found = w1efp(jax.random.key(0), real, generated, draws=draws)
    mean = efp_table(real, graphs=w1efp_graphs()).mean()
    np.testing.assert_allclose(found["value"], (1.1**4 - 1) * mean, rtol=1e-4)
    assert found["error"] < 1e-6 * found["value"] + 1e-12


def test_w1efp_same_key_same_number():
    jets, others = make_jets(100, 6), make_jets(80, 6, seed=5)
    first, second = (
        w1efp(jax.random.key(1), jets, others, draws=Draws(50, 3)) for _ in range(2)
    )
    assert first == second
    assert first["error"] > 0


def test_w1efp_bad_samples():
    jets = make_jets(10, 5)
    draws = Draws(10, 2)
    none = RelativeJets(jets.particles[:0], jets.mask[:0])
    with pytest.raises(InputError, match="generated sample: no jets"):
        w1efp(jax.random.key(0), jets, none, draws=draws)
    particles = jets.particles.copy()
    particles[4, 0, 0] = np.inf
    with pytest.raises(InputError, match="first: jet 4"):
        w1efp(jax.random.key(0), RelativeJets(particles, jets.mask), jets, draws=draws)
