"""Jets to and from the arrays of other libraries, and what these make of them."""

import importlib
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import jetvae_jax as jv
from jetvae_jax import interplay
from jetvae_jax.core.types import Jets, RelativeJets

LIBRARIES = ("awkward", "energyflow", "jetnet", "nanoevents", "pandas", "vector")


@pytest.fixture
def jets():
    """Five jets of 1 to 6 particles in descending pt, one without any in between."""
    rng = np.random.default_rng(1)
    count = np.array([4, 1, 0, 6, 3])
    mask = np.arange(6) < count[:, None]
    pt = -np.sort(-rng.exponential(100, mask.shape) - 1, axis=1)
    angles = rng.normal(scale=0.3, size=(2, *mask.shape)) + np.array([[[0.5]], [[3.0]]])
    p = np.stack(
        [pt * np.cos(angles[1]), pt * np.sin(angles[1]), pt * np.sinh(angles[0])], -1
    )
    axis = np.column_stack([pt.sum(1), np.full(5, 0.5), np.full(5, 3.0)])
    particles = np.where(mask[..., None], p, 0).astype(np.float32)
    labels = np.array([0, 2, 1, 0, 2], np.int32)
    return Jets(particles, mask, axis.astype(np.float32), labels)


def there_and_back(name, jets, **given):
    """Jets through a library, with axis and labels, which not all of them hold."""
    out = getattr(interplay, f"to_{name}")(jets)
    back = getattr(interplay, f"from_{name}")
    if name == "energyflow":
        found = back(out, labels=jets.labels, **given)
        return found._replace(axis=jets.axis)
    if name == "jetnet":
        return back(*out, phi=jets.axis[:, 2], labels=jets.labels, **given)
    if name == "vector":
        return back(out, **given)._replace(axis=jets.axis, labels=jets.labels)
    return back(*out, **given) if name == "pandas" else back(out, **given)


def needs(name):
    """Skips where the library is not installed."""
    if name in ("awkward", "pandas", "vector"):
        pytest.importorskip(name)
    if name == "nanoevents":
        pytest.importorskip("coffea")


def assert_same(found, jets, exact):
    assert found.particles.dtype == found.axis.dtype == np.float32
    assert found.labels.dtype == np.int32
    assert np.array_equal(found.mask, jets.mask)
    assert np.array_equal(found.labels, jets.labels)
    np.testing.assert_allclose(found.axis, jets.axis, rtol=0 if exact else 1e-6)
    # A component is as good as the momentum.
    size = np.linalg.norm(jets.particles, axis=-1, keepdims=True)
    assert np.all(np.abs(found.particles - jets.particles) <= size * (not exact) * 3e-6)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.slow if n == "nanoevents" else ())
        for n in LIBRARIES
    ],
)
def test_there_and_back(name, jets):
    needs(name)
    exact = name in ("awkward", "pandas", "vector")
    if name == "jetnet":  # a row of zeros has no axis
        jets.axis[2] = [0, 0, 3]
    assert_same(there_and_back(name, jets), jets, exact)
    # Padding anywhere and any order of particles are the same jets.
    order = np.random.default_rng(0).permutation(6)
    mixed = jets._replace(
        particles=np.where(jets.mask[..., None], jets.particles, 7)[:, order],
        mask=jets.mask[:, order],
    )
    assert_same(there_and_back(name, mixed), jets, exact)
    # The leading two.
    few = there_and_back(name, jets, num_particles=2)
    assert np.array_equal(few.mask, jets.mask[:, :2])
    np.testing.assert_allclose(few.particles, jets.particles[:, :2], rtol=1e-4)
    # One number more than there are is padding.
    more = there_and_back(name, jets, num_particles=7)
    assert not more.mask[:, 6].any() and not more.particles[:, 6].any()


@pytest.mark.parametrize(
    "name", ["awkward", "energyflow", "jetnet", "pandas", "vector"]
)
def test_jets_of_jax_without_axis(name, jets, make_jets):
    needs(name)
    import jax

    sample = make_jets(4)
    out = getattr(interplay, f"to_{name}")(jax.tree.map(jax.numpy.asarray, sample))
    phi = {"phi": 0.0} if name == "jetnet" else {}
    args = out if name in ("pandas", "jetnet") else (out,)
    found = getattr(interplay, f"from_{name}")(*args, **phi)
    assert found.labels is None
    assert (found.axis is None) == (name != "jetnet")
    pt = np.hypot(*np.moveaxis(found.particles[..., :2], -1, 0))
    wanted = np.hypot(*np.moveaxis(sample.particles[..., :2], -1, 0))
    np.testing.assert_allclose(pt, wanted[:, : pt.shape[1]], rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["awkward", "energyflow", "jetnet", "pandas", "vector"]
)
def test_no_jets(name):
    needs(name)
    none = Jets(np.zeros((0, 3, 3)), np.zeros((0, 3), bool))
    out = getattr(interplay, f"to_{name}")(none)
    args = out if name in ("pandas", "jetnet") else (out,)
    found = getattr(interplay, f"from_{name}")(*args)
    assert len(found.particles) == len(found.mask) == 0


def test_every_module_has_both_ways():
    assert {f"{way}_{n}" for n in LIBRARIES for way in ("to", "from")} <= {
        *dir(jv.interplay)
    }
    for name in LIBRARIES:
        module = importlib.import_module(f"jetvae_jax.interplay.{name}")
        assert getattr(interplay, f"to_{name}") is getattr(module, f"to_{name}")


def test_awkward_records(jets):
    ak = pytest.importorskip("awkward")
    array = interplay.to_awkward(jets)
    assert ak.num(array.particles).tolist() == [4, 1, 0, 6, 3]
    energy = array.particles.E[3][2]
    p = jets.particles[3, 2].astype(float)
    assert energy == pytest.approx(np.sqrt((p**2).sum()), rel=1e-15)
    # What fastjet, uproot and others give: lists in any coordinates, None among them.
    pt = np.hypot(array.particles.px, array.particles.py)
    other = ak.zip(
        {
            "pt": pt,
            "eta": np.arcsinh(array.particles.pz / pt),
            "phi": np.arctan2(array.particles.py, array.particles.px),
            "mass": ak.full_like(pt, 0.14),
        }
    )
    for given in (other, ak.pad_none(other, 8)):
        found = interplay.from_awkward(given)
        assert found.axis is None and found.mask.shape == (5, 6)
        np.testing.assert_allclose(
            found.particles, jets.particles, rtol=1e-5, atol=1e-4
        )
    columns = ak.zip(
        {f"part_{n}": array.particles[n] for n in ("px", "py", "pz")}
        | {"jet_pt": jets.axis[:, 0]},
        depth_limit=1,
    )
    assert np.array_equal(interplay.from_awkward(columns).particles, jets.particles)


def test_files_of_this_package_as_awkward_reads_them(jets, tmp_path):
    ak = pytest.importorskip("awkward")
    pytest.importorskip("pyarrow")
    path = tmp_path / "jets.parquet"
    with jv.data.writer(path, num_particles=6) as writer:
        writer.append(jets._replace(axis=None, labels=None))
    found = interplay.from_awkward(ak.from_parquet(path))
    assert np.array_equal(found.particles, jets.particles)


def test_vector_computes_with_the_jets(jets):
    pytest.importorskip("vector")
    import awkward as ak
    import vector

    particles = interplay.to_vector(jets)
    wanted = jv.observables.jets.jet_observables(jets)
    total = ak.sum(particles, axis=1)
    for name in ("pt", "mass"):
        np.testing.assert_allclose(
            ak.to_numpy(getattr(total, name))[[0, 3, 4]],
            np.asarray(wanted[name])[[0, 3, 4]],
            rtol=1e-5,
        )
    # NumPy's momenta, padded, and lists in other coordinates.
    p = np.moveaxis(jets.particles.astype(float), -1, 0)
    padded = vector.array(dict(zip(("px", "py", "pz"), p, strict=True)))
    assert np.array_equal(interplay.from_vector(padded).particles, jets.particles)
    polar = vector.zip({n: getattr(particles, n) for n in ("pt", "theta", "phi", "E")})
    np.testing.assert_allclose(
        interplay.from_vector(polar).particles, jets.particles, rtol=1e-5, atol=1e-4
    )


def test_frames(jets):
    pd = pytest.importorskip("pandas")
    particles, whole = interplay.to_pandas(jets)
    assert particles.groupby("jet").size().tolist() == [4, 1, 6, 3]
    assert whole.num_particles.tolist() == [4, 1, 0, 6, 3]
    wanted = jv.observables.jets.jet_observables(jets)
    for name in ("pt", "eta", "phi", "mass"):
        np.testing.assert_allclose(whole[name], wanted[name], rtol=1e-5, atol=1e-4)
    # Any order of rows and of jets, any numbers of them.
    flat = particles.reset_index().sample(frac=1, random_state=0)
    flat["jet"] = flat["jet"].map(lambda jet: 10 - jet)
    chosen = whole.iloc[[4, 0, 2]].set_axis([6, 10, 8])
    flat = flat[flat["jet"].isin(chosen.index)].drop(columns=["pt", "eta", "phi"])
    found = interplay.from_pandas(flat, chosen, num_particles=6)
    for name in ("particles", "mask", "axis", "labels"):
        assert np.array_equal(getattr(found, name), getattr(jets, name)[[4, 0, 2]])
    alone = interplay.from_pandas(particles)
    assert np.array_equal(alone.mask, jets.mask[[0, 1, 3, 4]])
    with pytest.raises(jv.InputError, match="not among the jets"):
        interplay.from_pandas(particles, whole.iloc[:2])
    with pytest.raises(jv.InputError, match="number twice"):
        interplay.from_pandas(particles, pd.concat([whole, whole]))
    with pytest.raises(jv.InputError, match="no level and no column 'jet'"):
        interplay.from_pandas(particles.reset_index(drop=True))


def test_energyflow_features_are_those_of_its_conventions(jets):
    x = interplay.to_energyflow(jets)
    assert x.shape == (5, 6, 4) and not x[~jets.mask].any()
    for jet, particle in np.argwhere(jets.mask):
        px, py, pz = jets.particles[jet, particle].astype(float)
        energy = np.sqrt(px**2 + py**2 + pz**2)
        pt, y, phi, pid = x[jet, particle]
        assert pt == pytest.approx(np.hypot(px, py))
        assert y == pytest.approx(0.5 * np.log((energy + pz) / (energy - pz)))
        assert np.cos(phi) == pytest.approx(px / pt) and pid == 0
    # A proton at rest in y is not massless: eta and y differ, and pz is that of y.
    proton = interplay.from_energyflow([[[5.0, 1.0, 0.0, 2212]]])
    pz = np.hypot(5, 0.938272) * np.sinh(1)
    np.testing.assert_allclose(proton.particles, [[[5, 0, pz]]], rtol=1e-6)


def test_jetnet_features_refer_to_the_axis(jets):
    particles, whole = interplay.to_jetnet(jets)
    assert particles.dtype == whole.dtype == np.float32
    assert particles.shape == (5, 6, 4) and whole.shape == (5, 4)
    assert np.array_equal(particles[..., 3], jets.mask)
    for jet in (0, 1, 3, 4):
        p = jets.particles[jet, 0].astype(float)
        pt, eta, phi = jets.axis[jet]
        etarel = np.arcsinh(p[2] / np.hypot(p[0], p[1])) - eta
        turned = p[:2] @ [[np.cos(phi), -np.sin(phi)], [np.sin(phi), np.cos(phi)]]
        phirel = np.arctan2(turned[1], turned[0])
        wanted = [etarel, phirel, np.hypot(p[0], p[1]) / pt, 1]
        np.testing.assert_allclose(particles[jet, 0], wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(whole[[0, 1, 3, 4], :2], jets.axis[[0, 1, 3, 4], :2])
    # Without an axis, of the sum of the particles: ptrel along it sums to one.
    particles, _ = interplay.to_jetnet(jets._replace(axis=None))
    along = (particles[..., 2] * np.cos(particles[..., 1])).sum(1)
    np.testing.assert_allclose(along, [1, 1, 0, 1, 1], rtol=1e-5)


def test_jetnet_tensors_and_azimuths(jets):
    particles, whole = interplay.to_jetnet(jets)

    class Tensor:
        """Of torch, on a device: NumPy cannot read it there."""

        def __init__(self, values):
            self.values = values

        def detach(self):
            return self

        def cpu(self):
            return self.values

    found = interplay.from_jetnet(Tensor(particles), Tensor(whole))
    again = interplay.from_jetnet(particles, whole)
    other = interplay.from_jetnet(particles, whole, seed=1)
    assert np.array_equal(found.axis, again.axis)
    assert not np.array_equal(found.axis[:, 2], other.axis[:, 2])
    assert len(np.unique(found.axis[[0, 1, 3, 4], 2])) == 4
    three = interplay.from_jetnet(particles[..., :3], whole[:, :2], phi=0)
    assert np.array_equal(three.mask, jets.mask)
    typed = np.column_stack([jets.labels, whole])
    with pytest.raises(jv.InputError, match="without a column of types"):
        interplay.from_jetnet(particles, typed)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Missing cross-reference")
def test_events_that_coffea_reads(jets, tmp_path):
    """A PFNano file of two events, of two and three jets, through coffea."""
    coffea = pytest.importorskip("coffea.nanoevents")
    ak, uproot = pytest.importorskip("awkward"), pytest.importorskip("uproot")
    out = interplay.to_nanoevents(jets)
    np.testing.assert_allclose(ak.flatten(out.Jet.pt), jets.axis[:, 0], rtol=1e-6)
    assert ak.all(
        abs(out.PFCands.energy - np.hypot(out.PFCands.pt, out.PFCands.pz)) < 1
    )
    number = ak.to_numpy(ak.num(out.PFCands))

    def merged(lists):
        counts = ak.to_numpy(ak.num(lists))
        return ak.unflatten(ak.flatten(lists), [sum(counts[:2]), sum(counts[2:])])

    before = [0, number[0], 0, number[2], number[2] + number[3]]
    place = merged(out.JetPFCands.pFCandsIdx + np.array(before))
    links = {"jetIdx": merged(out.JetPFCands.jetIdx + np.array([0, 1, 0, 1, 2]))}
    loose = ak.zip({n: merged(out.PFCands[n]) for n in ("pt", "eta", "phi", "mass")})
    none = ak.values_astype(0 * loose.pt, "int32")
    tree: dict = {
        "Jet": ak.zip({n: merged(out.Jet[n]) for n in ak.fields(out.Jet)}),
        "JetPFCands": ak.zip(links | {"pFCandsIdx": place}),
        "PFCands": ak.with_field(loose, none, "charge"),
        "run": np.ones(2, "u4"),
        "luminosityBlock": np.ones(2, "u4"),
        "event": np.arange(2, dtype="u8"),
    }
    tree["PFCands"] = ak.with_field(tree["PFCands"], none, "pdgId")
    path = tmp_path / "pfnano.root"
    with uproot.recreate(path) as file:
        file.mktree(
            "Events",
            {k: v.dtype if isinstance(v, np.ndarray) else v.type.content
             for k, v in tree.items()},
        ).extend(tree)  # fmt: skip
    events = coffea.NanoEventsFactory.from_root(
        {str(path): "Events"}, schemaclass=coffea.PFNanoAODSchema, mode="eager"
    ).events()
    assert_same(interplay.from_nanoevents(events), jets, exact=False)
    with pytest.raises(jv.InputError, match="no FatJet in the events"):
        interplay.from_nanoevents(events, "FatJet")


@pytest.mark.slow
def test_the_example_of_fastjet_and_dask(tmp_path):
    """Soft drop takes the mass of gluon jets, and little of that of top jets."""
    for library in ("fastjet", "dask_awkward", "dask_histogram", "hist", "vector"):
        pytest.importorskip(library)
    root = pathlib.Path(__file__).parent.parent
    picture = tmp_path / "masses.png"
    result = subprocess.run(
        [sys.executable, "-W", "ignore", root / "examples" / "fastjet_histogram.py",
         f"--output={picture}", "--num_jets=1000", "--parts=2"],
        capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(root)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = re.findall(r"(\w+), ([\w ]+): most at (\d+) GeV", result.stdout)
    most = {(kind, jets): float(mass) for kind, jets, mass in found}
    assert most["gluon", "soft drop"] < 15 < most["gluon", "all particles"] < 80
    assert all(120 < most["top", jets] < 173 for jets in ("soft drop", "all particles"))
    assert picture.read_bytes().startswith(b"\x89PNG")


def wrong(jets):
    """What is given wrongly, and what is said of it."""
    nan = jets._replace(particles=jets.particles * np.nan)
    return (
        ("to_energyflow", (nan,), "jet 0, particle 0: momentum"),
        ("to_energyflow", (jets._replace(mask=jets.mask[:3]),), "expected particles"),
        ("to_energyflow", (RelativeJets(*jets[:2]),), "in GeV, got RelativeJets"),
        ("to_jetnet", (jets._replace(axis=jets.axis[:2]),), "axis: shape is"),
        ("to_jetnet", (jets._replace(labels=jets.labels[:2]),), "labels: shape is"),
        ("from_energyflow", (np.ones((3, 2)),), "expected .any, any, 4."),
        ("from_energyflow", ([[[-1.0, 0.1, 0.2, 0]]],), "row 0: negative pt .1 row"),
        ("from_energyflow", ([[[np.nan, 1, 0, 0]]],), "NaN or infinite momentum"),
        ("from_energyflow", ([[[1.0, 0, 0, 0]]], [1, 2]), "labels: shape is"),
        ("from_energyflow", ([[[1.0, 0, 0, 0]]], None, 0), "num_particles=0"),
        ("from_jetnet", (np.ones((2, 3, 4)), np.ones((3, 4))), "shapes are"),
        ("from_jetnet", ([[[0.1, 0.2, -0.5, 1]]], [[900, 0.5]]), "negative ptrel"),
        ("from_awkward", ([[1.0]],), "particles have no fields"),
        ("from_awkward", ([{"pt": 1.0}],), "expected a list of particles"),
        ("from_awkward", ([[{"pt": 1.0}]],), "particles have pt: give px"),
        ("from_vector", ([[{"pt": 1.0}]],), "expected momenta of vector"),
    )


def test_what_is_wrong_is_said_in_one_line(jets):
    pytest.importorskip("awkward")
    for way, given, message in wrong(jets):
        with pytest.raises(jv.InputError, match=message) as error:
            getattr(interplay, way)(*given)
        text = str(error.value)
        assert text.startswith(f"{way}: ") and "\n" not in text and "repair" not in text


@pytest.mark.parametrize("name", ["awkward", "vector", "pandas", "nanoevents"])
def test_a_library_that_is_missing(name, jets, monkeypatch):
    library = {"nanoevents": "coffea"}.get(name, name)
    loaded = [m for m in sys.modules if m.partition(".")[0] == library]
    for module in {library, *loaded}:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(jv.InputError, match=f"not installed: pip install .*{library}"):
        getattr(interplay, f"to_{name}")(jets)
