"""Compare generated samples with real ones, those of a workdir or of any files."""

import os
import pathlib
from typing import Any

from jetvae_jax.core.files import Workdir
from jetvae_jax.metrics import inputs
from jetvae_jax.metrics.inputs import EvaluateConfig
from jetvae_jax.report.page import announce_missing
from jetvae_jax.runs import domains
from jetvae_jax.runs.trained import CHECKPOINT, load_model

LOCK = ".evaluation.lock"  # a run may be judged while it trains


def evaluate(
    workdir: str | os.PathLike,
    config: EvaluateConfig,
    files: Any = None,
    *,
    domain: str = "jets",
) -> pathlib.Path:
    """Write ``evaluation.json``, ``report.html`` and the tables of the domain.

    Candidates are the files named in the config, or else the reconstructed test part
    and the samples generated from the prior and from the flow that are in the workdir.
    The floor of every metric compares other real samples with the same real samples.

    Args:
        workdir: of a run, or for the report.
        config: which files to compare, and how.
        files: how to read files without a run, the ``Data`` of the domain.
        domain: of the files; that of a run is in its checkpoint.

    Returns:
        The path of the report.

    Raises:
        InputError: nothing to evaluate, an invalid file, data that changed since
            training, or another evaluation that writes there.
    """
    announce_missing()
    trained = None
    files_only = config.real and config.generated
    where = pathlib.Path(workdir).expanduser()
    if not files_only and (where / CHECKPOINT).exists():
        trained = load_model(workdir)
        domain = trained.run.domain
        if not isinstance(files, domains.get(domain).Data):
            files = None  # of another domain: the run says how to read its own
        if not config.generated:  # the report needs them: damage is found at once
            trained.history()
            trained.fitted()
    inputs.check(workdir, trained, config)
    folder = Workdir(config.output or workdir)
    files = files or domains.get(domain).Data()
    with folder.locked(LOCK):  # the files of two would be mixed
        return domains.evaluation(domain).evaluate(folder, trained, config, files)
