r"""Find jets of another kind by a model that was trained on one kind alone.

  python experiments/find_jets.py --workdir=runs/gluons --output=runs/find \
      --find.background=g.hdf5 --find.signals=t.hdf5,q.hdf5

scores test jets of the run and jets of the signals by everything that the model has:
likelihood, ELBO, KL, density of the latents, reconstruction error; and by cuts in mass
and multiplicity, which need no model. Any trained model of jets will do. The report is
find_jets.html in the workdir or --output; the last lines say what was found.

--find.background is the file of the training, of whose test part jets are scored.
--find.num_jets and --find.draws set how long it takes: 15,000 jets and 8 draws of the
largest model take some two minutes on two cores.
"""

import _cli

from jetvae_jax.studies.find_jets.study import FindConfig, find_jets

SHOWN = (
    "workdir",
    "output",
    "find.background",
    "find.signals",
    "find.num_jets",
    "find.draws",
)

if __name__ == "__main__":
    _cli.run_study(find_jets, "find", FindConfig, of_run=True, shown=SHOWN)
