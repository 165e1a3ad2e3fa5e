"""Compare generated samples with real ones, those of a workdir or of any files."""

import os
import pathlib
from typing import Any

from jetvae_jax.core.files import Workdir
from jetvae_jax.metrics.inputs import EvaluateConfig
from jetvae_jax.runs import domains
from jetvae_jax.runs.trained import CHECKPOINT, load_model


def evaluate(
    workdir: str | os.PathLike,
    config: EvaluateConfig,
    files: Any = None,
    *,
    domain: str = "jets",
) -> pathlib.Path:
    """Write ``evaluation.json`` and ``report.html``, and whatever else the domain has.

    Candidates are the files named in the config, or else the reconstructed test part
    and what was generated from the prior and from the flow, whichever are in the
    workdir. The floor of every metric compares other real samples with the same ones.

    Args:
        workdir: of a run, or where to write.
        config: what is compared with what.
        files: how to read files where no run says it, the ``Data`` of the domain.
        domain: of the files; a run knows its own.

    Returns:
        The path of the report.

    Raises:
        InputError: nothing to evaluate, a file that is wrong, or data that changed
            since training.
    """
    folder = Workdir(workdir)
    trained = None
    files_only = config.real and config.generated
    if not files_only and (folder / CHECKPOINT).exists():
        trained = load_model(folder.path)
        domain = trained.run.domain
    files = files or domains.get(domain).Data()
    return domains.evaluation(domain).evaluate(folder, trained, config, files)
