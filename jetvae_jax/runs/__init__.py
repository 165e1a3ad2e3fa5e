"""The main job: functions that work in one folder, the workdir.

``train -> fit_flow (or fit_copula) -> generate -> evaluate``: each reads the files that
the one before it wrote. The scripts under ``experiments/`` turn flags into the frozen
configs of these functions; a notebook calls the functions directly.
"""

from jetvae_jax.core import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "CalibrateConfig": "calibration",
        "Components": "jetvae_jax.models.vae:Components",
        "CopulaRun": "config",
        "EvaluateConfig": "jetvae_jax.metrics.inputs",
        "FlowRun": "config",
        "GenerateConfig": "config",
        "ModelRun": "config",
        "TrainedModel": "trained",
        "TuneConfig": "search",
        "calibrate": "calibration",
        "evaluate": "evaluation",
        "ExportConfig": "export",
        "export": "",
        "exported": "export",
        "fit_copula": "latent_density:fit_density",
        "fit_density": "latent_density",
        "fit_flow": "latent_density:fit_density",
        "flow_run": "settings",
        "generate": "writing",
        "generated_samples": "generation",
        "load_model": "trained",
        "model_run": "settings",
        "read_space": "search",
        "summary": "",
        "train": "training",
        "tune": "search",
    },
)
