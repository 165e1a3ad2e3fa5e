"""Write the figures that jetnet 0.2.5 and energyflow give on fixed small jets.

Runs in an environment of its own, without this package (``README.md`` beside this file
says how to make it):

    python tests/golden/make_golden.py

It writes ``golden.npz`` (jets, draws, figures) and ``versions.json`` beside itself.
Jets are stored in float16, so that every reader has exactly the same ones, in the order
(etarel, phirel, ptrel) of jetnet; both packages get them in float64.
"""

import importlib.metadata
import json
import pathlib
import platform
import warnings

import numpy as np

HERE = pathlib.Path(__file__).parent
SEED = 20_261_122
NUM_JETS, NUM_PARTICLES = 1000, 30
EFP_JETS = 100
PNET_JETS = 16
EMD_PAIRS = 60
W1_JETS, W1_BATCHES = 800, 3
COV_JETS, COV_BATCHES = 40, 3
FPD = {"min_samples": 200, "max_samples": 800, "num_batches": 4, "num_points": 4}
KPD = {"num_batches": 5, "batch_size": 400}
DEFAULT_RNG = np.random.default_rng  # replaced below while fpd and kpd run
PACKAGES = (
    *("jetnet", "EnergyFlow", "Wasserstein", "coffea", "awkward", "numba"),
    *("numpy", "scipy", "torch", "torch_geometric"),
)


def synthetic_jets(rng, num_jets, *, width, hardness):
    """Jets of up to three prongs, 1 to 30 particles, pt-ordered, zero padded.

    Args:
        rng: NumPy generator.
        num_jets: J.
        width: scale of the angles.
        hardness: concentration of the momentum fractions: small means few carry most.

    Returns:
        ``[J, 30, 3]`` float16 (etarel, phirel, ptrel).
    """
    count = np.clip(rng.normal(24, 8, num_jets).round(), 1, NUM_PARTICLES)
    mask = np.arange(NUM_PARTICLES) < count[:, None]
    share = rng.gamma(hardness, size=mask.shape) * mask + 1e-4 * mask
    ptrel = share / share.sum(1, keepdims=True) * rng.uniform(0.9, 1.0, (num_jets, 1))
    prongs = rng.normal(0, 0.1, (num_jets, 3, 2))
    which = rng.integers(0, rng.integers(1, 4, (num_jets, 1)), mask.shape)
    centre = np.take_along_axis(prongs, which[..., None], 1)
    softness = (1 + 20 * ptrel[..., None]) ** -1
    angles = centre + width * softness * rng.standard_t(4, (*mask.shape, 2))
    jets = np.concatenate([angles.clip(-0.6, 0.6), ptrel[..., None]], -1)
    jets = np.where(mask[..., None], jets, 0)
    order = np.argsort(-jets[..., 2], axis=1, kind="stable")
    return np.take_along_axis(jets, order[..., None], 1).astype(np.float16)


class RecordingGenerator:
    """A seeded generator that remembers what it drew.

    It stands in for jetnet's unseeded module-level ``rng`` and for
    ``numpy.random.default_rng`` inside fpd and kpd.
    """

    def __init__(self, seed):
        self.generator = DEFAULT_RNG(seed)
        self.draws = []

    def choice(self, *args, **kwargs):
        self.draws.append(self.generator.choice(*args, **kwargs).astype(np.uint16))
        return self.draws[-1].astype(np.int64)

    def pairs(self):
        """``[2, batches, size]`` when all draws are of one size: real, generated."""
        return np.stack([self.draws[0::2], self.draws[1::2]])


def energyflow_figures(real, generated):
    """Energy-flow polynomials and energy mover's distances."""
    from energyflow import EFPSet
    from energyflow.emd import emd

    out = {}
    hadronic = {"measure": "hadr", "beta": 1, "coords": "ptyphim"}
    ptyphi = [jets[..., [2, 0, 1]] for jets in (real, generated)]
    few = ptyphi[0][:EFP_JETS]
    full = EFPSet(("d<=", 5), normed=None, **hadronic)
    out["efp_d5"] = full.batch_compute(few, n_jobs=1)
    # How often each edge of a graph occurs is the graph: "0-1 0-1 1-2".
    out["efp_d5_graphs"] = np.array(
        [" ".join(f"{i}-{j}" for i, j in graph) for graph in full.graphs()]
    )
    normed = EFPSet(("d<=", 4), normed=True, **hadronic)
    out["efp_d4_normed"] = normed.batch_compute(few, n_jobs=1)
    wide = EFPSet(("d<=", 3), normed=None, **{**hadronic, "beta": 0.5})
    out["efp_d3_half_beta"] = wide.batch_compute(few, n_jobs=1)

    pairs = list(zip(ptyphi[0][:EMD_PAIRS], ptyphi[1][:EMD_PAIRS], strict=True))
    pairs[0] = (pairs[0][0], pairs[0][0])  # a jet and itself
    out["emd"] = np.array([emd(a, b, R=1.0, norm=False) for a, b in pairs])
    out["emd_normed"] = np.array([emd(a, b, R=1.0, norm=True) for a, b in pairs])
    out["emd_r04"] = np.array([emd(a, b, R=0.4, norm=False) for a, b in pairs])
    return out


def jetnet_figures(real, generated):
    """jetnet's figures, with the draws behind them."""
    from jetnet import utils
    from jetnet.evaluation import gen_metrics

    out = {}
    features = utils.jet_features(real)
    out |= {f"jet_{name}": features[name] for name in ("mass", "pt", "eta")}
    out["efp_5"] = utils.efps(real[:EFP_JETS], efp_jobs=1)

    def recorded(name, seed, figure):
        gen_metrics.rng = RecordingGenerator(seed)
        mean, other = figure()
        out[name] = np.array([mean, other])
        out[f"{name}_draws"] = gen_metrics.rng.pairs()

    size = {"num_eval_samples": W1_JETS, "num_batches": W1_BATCHES}
    recorded("w1m", 1, lambda: gen_metrics.w1m(real, generated, **size))
    recorded("w1p", 2, lambda: gen_metrics.w1p(real, generated, **size))
    recorded("w1efp", 3, lambda: gen_metrics.w1efp(real, generated, **size, efp_jobs=1))
    gen_metrics.rng = RecordingGenerator(1)
    out["w1m_no_std"] = np.array(
        gen_metrics.w1m(real, generated, **size, return_std=False)
    )
    size = {"num_eval_samples": COV_JETS, "num_batches": COV_BATCHES}
    recorded(
        "cov_mmd",
        4,
        lambda: gen_metrics.cov_mmd(real, generated, **size, use_tqdm=False),
    )
    return out | set_figures(real, generated, gen_metrics)


def set_figures(real, generated, gen_metrics):
    """FPD and KPD of the 36 polynomials, which are stored as they were used."""
    x, y = (
        gen_metrics.get_fpd_kpd_jet_features(jets, efp_jobs=1).astype(np.float32)
        for jets in (real, generated)
    )
    out = {"efp_36_real": x, "efp_36_generated": y}
    x, y = x.astype(np.float64), y.astype(np.float64)
    generators, fits = [], []
    curve_fit = gen_metrics.curve_fit

    def recording_rng(seed):
        generators.append(RecordingGenerator(seed))
        return generators[-1]

    def recording_fit(function, inverse_sizes, values, **options):
        fits.append((inverse_sizes, values))
        return curve_fit(function, inverse_sizes, values, **options)

    gen_metrics.curve_fit = recording_fit
    np.random.default_rng = recording_rng
    for normalise, suffix in ((True, ""), (False, "_raw")):
        out[f"fpd{suffix}"] = np.array(
            gen_metrics.fpd(x, y, normalise=normalise, **FPD)
        )
        out[f"kpd{suffix}"] = np.array(
            gen_metrics.kpd(x, y, normalise=normalise, **KPD)
        )
        inverse_sizes, values = fits.pop()
        out[f"fpd{suffix}_sizes"] = np.rint(1 / inverse_sizes).astype(np.int64)
        out[f"fpd{suffix}_values"] = np.array(values)
    np.random.default_rng = DEFAULT_RNG
    # normalise changes no draw: those of the first round serve both.
    per_size = 2 * FPD["num_batches"]
    for i, size in enumerate(out["fpd_sizes"]):
        draws = generators[0].draws[i * per_size : (i + 1) * per_size]
        out[f"fpd_draws_{size}"] = np.stack([draws[0::2], draws[1::2]])
    kpd_draws = [g.draws for g in generators[1 : 1 + KPD["num_batches"]]]
    out["kpd_draws"] = np.array(kpd_draws).swapaxes(0, 1)
    return out


def provide_torch_cluster():
    """Put a ``knn_graph`` in place of torch_cluster's where that is not installed.

    jetnet's ParticleNet needs nothing else of it. Like the original it takes the k + 1
    nearest points of the same jet and removes the point itself; the search is
    exhaustive instead of a tree's.
    """
    import sys
    import types

    import torch

    def knn_graph(x, k, batch):
        sets = x.double().reshape(int(batch[-1]) + 1, -1, x.shape[-1])
        size = sets.shape[1]
        gap = (sets[:, :, None] - sets[:, None]).square().sum(-1)
        near = gap.topk(k + 1, largest=False).indices
        first = size * torch.arange(len(sets))[:, None, None]
        source = (near + first).flatten()
        target = torch.arange(len(x)).repeat_interleave(k + 1)
        other = source != target
        return torch.stack([source[other], target[other]])

    try:
        import torch_cluster  # noqa: F401
    except ModuleNotFoundError:
        import torch_geometric.nn  # noqa: F401  (it asks where torch_cluster is)

        module = types.ModuleType("torch_cluster")
        module.knn_graph = knn_graph
        sys.modules["torch_cluster"] = module


def particlenet_figures(real, generated):
    """Activations of the shipped ParticleNet, and FPND of each jet type."""
    provide_torch_cluster()
    import torch
    from jetnet.datasets import JetNet
    from jetnet.evaluation import fpnd, gen_metrics

    both = np.concatenate([real, generated]).astype(np.float32)
    out = {t: np.array(fpnd(both, t, device="cpu", use_tqdm=False)) for t in "gqt"}
    out = {f"fpnd_{name}": value for name, value in out.items()}
    network = gen_metrics.fpnd_dict["jetnet"][NUM_PARTICLES]["g"]["pnet"].eval()
    scaled = JetNet.fpnd_norm(torch.tensor(both[:PNET_JETS]))
    with torch.no_grad():
        out["particlenet"] = network(scaled, ret_activations=True).numpy()
        out["particlenet_logits"] = network(scaled).numpy()
    return out


def main():
    """Compute everything and write both files."""
    warnings.simplefilter("ignore")  # of sample sizes below the recommended
    rng = np.random.default_rng(SEED)
    real = synthetic_jets(rng, NUM_JETS, width=0.10, hardness=0.30)
    generated = synthetic_jets(rng, NUM_JETS, width=0.12, hardness=0.35)
    out = {"real": real, "generated": generated}
    real, generated = real.astype(np.float64), generated.astype(np.float64)
    for figures in (energyflow_figures, jetnet_figures, particlenet_figures):
        out |= figures(real, generated)
    np.savez_compressed(HERE / "golden.npz", **out)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    try:
        versions["torch_cluster"] = importlib.metadata.version("torch_cluster")
    except importlib.metadata.PackageNotFoundError:
        versions["torch_cluster"] = "knn_graph of make_golden.py"
    record = {
        "python": platform.python_version(),
        "packages": versions,
        "seed": SEED,
        "w1": {"num_eval_samples": W1_JETS, "num_batches": W1_BATCHES},
        "cov_mmd": {"num_eval_samples": COV_JETS, "num_batches": COV_BATCHES},
        "fpd": FPD,
        "kpd": KPD,
    }
    (HERE / "versions.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
