"""Every loopless multigraph of up to five edges: the names of energy-flow polynomials.

A graph is a tuple of edges, an edge a pair of vertices ``0, 1, ...``; an edge drawn
twice is listed twice. ``()`` is a single vertex. A graph is *prime* if it is connected,
else *composite*: the union of primes. Primes of 1 to 5 edges: 1, 2, 5, 12, 33.

The order is that of ``energyflow.EFPSet`` (version 1.4.0, arXiv:1712.07124), so that a
column here is the same column there: primes first, by number of vertices, then by
number of simple edges; composites after all primes. Below that energyflow's order is
the one in which a hash table once returned its entries. No rule gives it, so the lists
are written out here rather than computed.
"""

import functools
import itertools

Graph = tuple[tuple[int, int], ...]

MAX_DEGREE = 5

# The edges of a simple graph, then how often each is drawn.
_PRIMES = (
    ("", ""),
    ("01", "1 2 3 4 5"),
    ("01 02", "11 12 13 22 41 32"),
    ("01 02 12", "111 121 113 122"),
    ("01 02 03", "111 121 113 122"),
    ("01 02 13", "111 121 211 113 311 122 221"),
    ("01 02 12 03", "1111 1121 2111 1112"),
    ("01 02 13 23", "1111 1121"),
    ("01 02 12 03 13", "11111"),
    ("01 02 03 04", "1111 1121"),
    ("01 02 03 14", "1111 1121 2111 1112"),
    ("01 02 13 24", "1111 1121 2111"),
    ("01 02 12 03 04", "11111"),
    ("01 02 12 03 14", "11111"),
    ("01 02 12 03 34", "11111"),
    ("01 02 13 23 04", "11111"),
    ("01 02 13 24 34", "11111"),
    ("01 02 03 04 05", "11111"),
    ("01 02 03 04 15", "11111"),
    ("01 02 03 14 15", "11111"),
    ("01 02 03 14 25", "11111"),
    ("01 02 03 14 45", "11111"),
    ("01 02 13 24 35", "11111"),
)

# The factors of a composite: "21 33" is every prime of 2 vertices and 1 edge times
# every prime of 3 vertices and 3 edges.
_COMPOSITES = (
    *("21 21", "21 22", "21 23", "22 22", "22 23", "21 24"),
    *("21 32", "22 32", "21 33", "23 32", "22 33", "21 34"),
    *("21 21 21", "21 43", "32 32", "21 21 22"),
    *("21 44", "22 43", "32 33", "21 21 23", "21 22 22"),
    *("21 21 32", "21 54", "32 43", "21 22 32", "21 21 33"),
    *("21 21 21 21", "21 21 43", "21 32 32", "21 21 21 22"),
    *("21 21 21 32", "21 21 21 21 21"),
)


@functools.cache
def multigraphs(max_degree: int = MAX_DEGREE) -> tuple[Graph, ...]:
    """All multigraphs of up to ``max_degree`` edges, one of each isomorphism class.

    Args:
        max_degree: at most 5.

    Returns:
        1, 2, 5, 13, 36 or 102 graphs for a ``max_degree`` of 0 to 5, in the order of
        ``energyflow.EFPSet(("d<=", max_degree))``.

    Raises:
        ValueError: ``max_degree`` is not one of 0 to 5.

    Example:
        >>> [len(jv.metrics.multigraphs(degree)) for degree in range(5)]
        [1, 2, 5, 13, 36]
    """
    if max_degree not in range(MAX_DEGREE + 1):
        raise ValueError(f"max_degree is 0 to {MAX_DEGREE}, got {max_degree}")
    return tuple(graph for graph in _all() if len(graph) <= max_degree)


def num_vertices(graph: Graph) -> int:
    """Number of vertices; the graph without edges has one."""
    return max(len({vertex for edge in graph for vertex in edge}), 1)


def components(graph: Graph) -> tuple[Graph, ...]:
    """The primes whose union the graph is; ``((),)`` for the graph without edges."""
    parts: list[list[tuple[int, int]]] = []
    for edge in graph:
        touched = [part for part in parts if any(set(edge) & set(e) for e in part)]
        parts = [part for part in parts if part not in touched]
        parts.append([*itertools.chain(*touched), edge])
    return tuple(map(tuple, parts)) or ((),)


@functools.cache
def _all() -> tuple[Graph, ...]:
    primes = tuple(itertools.starmap(_draw, _weighted()))
    by_size: dict[str, list[Graph]] = {}
    for graph in primes:
        by_size.setdefault(f"{num_vertices(graph)}{len(graph)}", []).append(graph)
    composites = (
        _union(factors)
        for sizes in _COMPOSITES
        for factors in itertools.product(*(by_size[size] for size in sizes.split()))
    )
    return (*primes, *composites)


def _weighted():
    for edges, weights in _PRIMES:
        for weight in weights.split() or [""]:
            yield edges.split(), weight


def _draw(edges: list[str], weights: str) -> Graph:
    """Each edge as often as its weight says."""
    pairs = [(int(edge[0]), int(edge[1])) for edge in edges]
    counts = map(int, weights)
    return tuple(p for p, n in zip(pairs, counts, strict=True) for _ in range(n))


def _union(graphs: tuple[Graph, ...]) -> Graph:
    """The graphs side by side, on vertices of their own."""
    union: list[tuple[int, int]] = []
    offset = 0
    for graph in graphs:
        union += [(a + offset, b + offset) for a, b in graph]
        offset += num_vertices(graph)
    return tuple(union)
