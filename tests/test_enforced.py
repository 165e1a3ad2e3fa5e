"""What a loss holds is no check: which statistics those are, and where it is said."""

import jax
import numpy as np
import pytest

from jetvae_jax import metrics
from jetvae_jax.metrics.suite.enforced import no_check
from jetvae_jax.observables.jets import jet_observables, relative
from jetvae_jax.observables.named import COMPUTED, NAMES, fixed_by, observable
from jetvae_jax.report import evaluation as report


def narrow(jets):
    """The same jets in a cone of a tenth, where angles are small."""
    x = np.array(relative(jets).particles)
    x[..., 1:] *= 0.1
    return jets._replace(particles=np.stack(
        [x[..., 0] * np.cos(x[..., 2]), x[..., 0] * np.sin(x[..., 2]),
         x[..., 0] * np.sinh(x[..., 1])], axis=-1,
    ))  # fmt: skip


@pytest.mark.slow
def test_the_relations_hold(make_jets):
    jets = narrow(make_jets(num_jets=40, num_particles=5))

    def of(name):
        return np.asarray(observable(jets.particles, jets.mask, name=name))[:, 0]

    whole = {n: np.asarray(v) for n, v in jet_observables(jets).items()}
    # The polynomials of one edge, of a double edge (the first of degree 2 to be one).
    np.testing.assert_allclose(of("efp1"), 2 * of("e2"), rtol=1e-4)
    squares = np.asarray(observable(jets.particles, jets.mask, name="efp2"))
    half = 2 * (whole["mass"] / whole["pt"]) ** 2
    assert any(np.allclose(half, column, rtol=2e-2) for column in squares.T)
    np.testing.assert_allclose(of("tau1") * 0.8, of("width"), rtol=0.02)
    several = of("tau1") > 1e-4
    for ratio, upper, lower in (("tau21", "tau2", "tau1"), ("tau32", "tau3", "tau2")):
        good = several & (of(lower) > 1e-6)
        expected = of(upper)[good] / of(lower)[good]
        np.testing.assert_allclose(of(ratio)[good], expected, rtol=1e-3)
    for name, power in (("c2", 2), ("d2", 3)):
        good = of("e2") > 1e-4
        expected = of("e3")[good] / of("e2")[good] ** power
        np.testing.assert_allclose(of(name)[good], expected, rtol=1e-3)
    assert {part for _, parts in COMPUTED for part in parts} <= set(NAMES)


def test_what_is_computed_from_the_loss_is_no_check():
    assert fixed_by(()) == set()
    assert fixed_by(["mass"]) == {"mass", "relative_mass"}
    assert fixed_by(["efp2", "ptd"]) == {"efp2", "ptd", "mass", "relative_mass"}
    assert fixed_by(["efp3"]) == {"efp3", "e3"}  # a ratio is not fixed by one part
    assert fixed_by(["efp1", "efp3"]) == {"efp1", "efp3", "e2", "e3", "c2", "d2"}
    assert fixed_by(["width", "tau2"]) == {"width", "tau1", "tau2", "tau21"}


@pytest.mark.parametrize(
    ("held", "marked", "free"),
    [
        (["mass", "pt"], {"mass", "pt", "w1m"}, {"fpd", "w1efp", "tau21"}),
        (["efp4"], {"w1efp", "fpd"}, {"w1m", "mass", "d2", "w1p"}),
        (["width", "tau2"], {"width", "tau21"}, {"fpd", "mass", "ptrel"}),
    ],
)
def test_every_table_says_so(make_jets, held, marked, free):
    real, made = (make_jets(num_jets=60, num_particles=6, seed=s) for s in (0, 1))
    protocol = metrics.Protocol(
        "tiny", w1=metrics.Draws(20, 2), fpd=metrics.Extrapolation(20, 40, 3)
    )
    found = metrics.evaluate(jax.random.key(0), real, {"a": made}, protocol=protocol)
    found["trained_on"] = held
    found["no_check"] = no_check(found, fixed_by(held))
    assert marked <= set(found["no_check"]) and not free & set(found["no_check"])
    lines = metrics.table(found).splitlines()
    assert any(line.startswith("* in the training loss") for line in lines)
    starred = " ".join(line for line in lines if line.startswith("* "))
    assert ("W1M" in starred) == ("w1m" in marked)
    assert ("W1EFP" in starred) == ("w1efp" in marked)
    (note,) = report._trained_on(fixed_by(held), found)
    assert "Computed from these, and no check either: " in str(note)
    # Without observables in the loss nothing is marked.
    found |= {"trained_on": [], "no_check": []}
    assert not any(line.startswith("*") for line in metrics.table(found).splitlines())
    assert not list(report._trained_on(fixed_by([]), found))
