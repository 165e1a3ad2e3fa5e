"""GANs through the scripts: train, generate and evaluate; mistakes are one line."""

import json

import h5py
import numpy as np
import pytest

FIGURES = "none"
FLAGFILES = "--flagfile=experiments/flagfiles"
TABLE = (
    "--events.max_events=300", "--train.batch_size=50", "--train.num_epochs=1",
    "--mlp_gan.nodes=8", "--mlp_gan.num_layers=1",
)  # fmt: skip
JETS = (
    "--data.max_jets=200", "--train.batch_size=20", "--train.num_epochs=1",
    "--data.num_particles=10", "--evaluate.protocols=epic_5k",
)  # fmt: skip
SMALL = {
    "epicgan_gluon30": (
        "--epic_gan.width=8", "--epic_gan.generator_layers=1",
        "--epic_gan.critic_layers=1",
    ),
    "mpgan_gluon30": ("--mpgan.pair=8", "--mpgan.point=8", "--mpgan.width=4"),
}  # fmt: skip


def finished(done):
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def mistake(done, *words):
    assert done.returncode == 2, done.stderr[-500:]
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and all(word in last for word in words), last


@pytest.mark.slow
def test_events_from_training_to_the_report(tmp_path, run_script):
    run = (f"{FLAGFILES}/zgamma_gan.txt", f"--workdir={tmp_path / 'run'}", *TABLE)
    conditional = (*run, "--event_scaling.conditions=mlly")
    finished(run_script("train", *conditional))
    rows = (tmp_path / "run/vae.metrics.jsonl").read_text().splitlines()
    terms = json.loads(rows[0])
    wanted = {"loss", "critic", "generator", "slope", "overall"}
    assert wanted <= {name.rpartition("/")[2] for name in terms}
    made = finished(
        run_script(
            "generate", *conditional, "--generate.num_jets=100",
            "--generate.condition=mlly=150",
        )
    )  # fmt: skip
    assert "generated_prior.hdf5" in made.stdout
    done = finished(run_script("evaluate", *conditional))
    assert "mlp_gan" in done.stdout and (tmp_path / "run/report.html").exists()
    # There are no latents to fit a flow to.
    mistake(run_script("fit_flow", *conditional), "mlp_gan", "no encoder")
    mistake(
        run_script("generate", *conditional, "--generate.latents=flow"), "no encoder"
    )
    mistake(run_script("train", *conditional, "--mlp_gan.clip=0.1"), "clip")


def test_mistakes_are_one_line(tmp_path, run_script):
    run = (f"{FLAGFILES}/zgamma_gan.txt", f"--workdir={tmp_path}", *TABLE)
    for flags, words in (
        (["--mlp_gan.objective=wgann"], ["objective", "wgan_gp"]),
        (["--mlp_gan.critic_steps=0"], ["critic_steps", "positive"]),
        (["--train.monitor=emd"], ["train.monitor", "overall"]),
        (["--discriminator=mlp"], ["--discriminator"]),
        (["--train.batch_size=1"], ["batch_size", "2 or more"]),
        (["--train.beta1=1"], ["train.beta1", "below 1"]),
    ):
        mistake(run_script("train", *run, *flags), *words)
    jets = (
        f"{FLAGFILES}/epicgan_gluon30.txt", f"--workdir={tmp_path}", *JETS,
        *SMALL["epicgan_gluon30"],
    )  # fmt: skip
    mistake(
        run_script("train", *jets, "--scaling.conditions=pt"), "add multiplicity to"
    )
    mistake(run_script("train", *jets, "--scaling.coordinates=frame"), "mlp_gan")
    assert not list(tmp_path.glob("vae*"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["epicgan_gluon30", "mpgan_gluon30"])
def test_jets_from_training_to_the_report(tmp_path, run_script, name):
    run = (
        f"{FLAGFILES}/{name}.txt", f"--workdir={tmp_path}", *JETS, *SMALL[name],
        "--scaling.conditions=multiplicity",
    )  # fmt: skip
    finished(run_script("train", *run))
    asked = "--generate.condition=multiplicity=7"
    finished(run_script("generate", *run, "--generate.num_jets=100", asked))
    with h5py.File(tmp_path / "generated_prior.hdf5") as file:
        particles = np.asarray(file["particle_features"])
    # As many as are asked for, less those that the domain's rule leaves out.
    assert np.all((particles[..., -1] > 0).sum(-1) <= 7)
    done = finished(run_script("evaluate", *run))
    assert "W1M" in done.stdout and (tmp_path / "report.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["classic", "minimax", "lsgan", "wgan", "wgan_gp"])
def test_every_objective_by_its_flag(tmp_path, run_script, loss):
    run = (f"{FLAGFILES}/zgamma_gan.txt", f"--workdir={tmp_path}", *TABLE)
    finished(run_script("train", *run, f"--mlp_gan.objective={loss}"))
