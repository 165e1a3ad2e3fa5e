"""Sums over multigraphs by eliminating one vertex after the other.

The sum over N particles for each of n vertices costs N^n term by term. A vertex with
one neighbour can be summed alone: it leaves a vector on its neighbour (a `Message`, one
matrix times a vector). One with two neighbours leaves a matrix between them (a `Path`,
one matrix product). A graph of up to five edges always has such a vertex, so all end as
a single one this way, and N^3 is the worst case.

What is left behind is a symbolic expression first, and graphs of one set share equal
ones: the 36 graphs of up to four edges need one matrix product together, the 102 of up
to five edges three. That is why, of several possible vertices, the one with the
simplest expression goes first.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array
from jetvae_jax.observables.energy_flow.multigraphs import Graph, components


class Message(NamedTuple):
    """The vector ``sum_b edge[a, b] source[b]`` that vertex b leaves on vertex a."""

    edge: "Edge"
    source: "Vector"


class Path(NamedTuple):
    """The matrix ``sum_b first[a, b] middle[b] second[b, c]`` between a and c."""

    first: "Edge"
    middle: "Vector"
    second: "Edge"


class Edge(NamedTuple):
    """The matrix ``theta^power`` times paths, element by element."""

    power: int
    paths: tuple[Path, ...]


Vector = tuple[Message, ...]
"""The vector z times messages, element by element; ``()`` is z itself."""


def contract(graphs: Sequence[Graph], z: Array, theta: Array) -> Array:
    """``sum_{i1..in} z_i1 .. z_in prod_{(k, l) in graph} theta_{ik il}`` of each graph.

    Args:
        graphs: G multigraphs, tuples of edges; n is the number of vertices.
        z: ``[..., N]`` weights.
        theta: ``[..., N, N]`` symmetric.

    Returns:
        ``[..., G]``.

    Raises:
        ValueError: a graph has a core in which every vertex has three neighbours; it
            takes at least six edges.
    """
    z, theta = floats(jnp, z, theta)
    values = _Values(z, theta)
    sums = []
    for graph in graphs:
        factors = [values.total(eliminate(prime)) for prime in components(graph)]
        sums.append(functools.reduce(jnp.multiply, factors))
    return jnp.stack(sums, axis=-1) if sums else jnp.zeros((*z.shape[:-1], 0), z.dtype)


@functools.cache
def eliminate(prime: Graph) -> Vector:
    """The expression left on the last vertex of a connected graph."""
    vertices: dict[int, Vector] = {v: () for edge in prime for v in edge} or {0: ()}
    edges: dict[int, dict[int, Edge]] = {v: {} for v in vertices}
    for a, b in prime:
        if a == b:
            raise ValueError(f"an edge needs two vertices, got {(a, b)} in {prime}")
        power = edges[a][b].power if b in edges[a] else 0
        edges[a][b] = edges[b][a] = Edge(power + 1, ())
    while len(vertices) > 1:
        options = [_leftover(v, vertices, edges) for v in vertices if len(edges[v]) < 3]
        if not options:
            raise ValueError(f"no vertex of {prime} has fewer than three neighbours")
        _, _, vertex, expression = min(options)
        del vertices[vertex]
        neighbours = edges.pop(vertex)
        for a in neighbours:
            del edges[a][vertex]
        if isinstance(expression, Message):
            (a,) = neighbours
            vertices[a] = _sorted((*vertices[a], expression))
        else:
            a, c = neighbours
            power, paths = edges[a].get(c, Edge(0, ()))
            edges[a][c] = Edge(power, _sorted((*paths, expression)))
            edges[c][a] = _transposed(edges[a][c])
    return next(iter(vertices.values()))


def _leftover(vertex, vertices, edges):
    """What eliminating the vertex leaves, after how soon that should be done."""
    vector, (a, *other) = vertices[vertex], edges[vertex]
    if other:
        expression = Path(edges[a][vertex], vector, edges[vertex][other[0]])
    else:
        expression = Message(edges[a][vertex], vector)
    return len(other), _rank(expression), vertex, expression


def _rank(expression) -> tuple[int, str]:
    """Simple before complicated, and equal expressions always in one place."""
    return len(text := repr(expression)), text


def _sorted(expressions: tuple) -> tuple:
    return tuple(sorted(expressions, key=_rank))


def _transposed(edge: Edge) -> Edge:
    return Edge(edge.power, _sorted(tuple(map(_reversed, edge.paths))))


def _reversed(path: Path) -> Path:
    return Path(_transposed(path.second), path.middle, _transposed(path.first))


class _Values:
    """The arrays behind the expressions of one set of graphs, each computed once."""

    def __init__(self, z: Array, theta: Array):
        self._z, self._theta = z, theta
        self._known: dict[object, Array] = {}

    def total(self, vector: Vector) -> Array:
        """The sum of the last vertex over all particles."""
        return self._get(("total", vector), lambda: jnp.sum(self._vector(vector), -1))

    def _get(self, expression, compute) -> Array:
        if expression not in self._known:
            self._known[expression] = compute()
        return self._known[expression]

    def _vector(self, vector: Vector) -> Array:
        if not vector:
            return self._z
        *rest, last = vector
        return self._get(
            ("vector", vector),
            lambda: self._vector(tuple(rest)) * self._message(last),
        )

    def _message(self, message: Message) -> Array:
        # The matrix is symmetric or its transpose is at hand, and a sum over the rows
        # runs along memory: several times faster than one along the columns.
        edge, source = _transposed(message.edge), message.source
        return self._get(
            message,
            lambda: jnp.sum(self._edge(edge) * self._vector(source)[..., None], -2),
        )

    def _edge(self, edge: Edge) -> Array:
        factors = [self._power(edge.power)] if edge.power else []
        factors += map(self._path, edge.paths)
        return self._get(edge, lambda: functools.reduce(jnp.multiply, factors))

    def _power(self, power: int) -> Array:
        if power == 1:
            return self._theta
        return self._get(("power", power), lambda: self._power(power - 1) * self._theta)

    def _path(self, path: Path) -> Array:
        if path not in self._known and _reversed(path) in self._known:
            return jnp.swapaxes(self._known[_reversed(path)], -1, -2)
        return self._get(path, lambda: self._product(path))

    def _product(self, path: Path) -> Array:
        weighted = self._edge(path.first) * self._vector(path.middle)[..., None, :]
        # The default of accelerators keeps three digits of the factors.
        return jnp.matmul(weighted, self._edge(path.second), precision="highest")
