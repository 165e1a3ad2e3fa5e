"""The models of the zoo by name."""

from jetvae_jax.core import files
from jetvae_jax.runs.trained import TrainedModel, load_model


def names() -> list[str]:
    """Names of the models, in alphabetical order."""
    return files.zoo_names()


def card(name: str) -> str:
    """What a model generates, what it was trained on and how good it is, as Markdown.

    Raises:
        InputError: there is no model of this name.
    """
    return (files.zoo_folder(name) / "README.md").read_text()


def load(name: str) -> TrainedModel:
    """A trained model. For samples of it see :func:`jetvae_jax.runs.generated_samples`.

    Raises:
        InputError: there is no model of this name.
    """
    return load_model(files.zoo_folder(name))
