"""Tables of events: one row an event, named columns. Outside are GeV and radians."""

from jetvae_jax.events.kinds import Columns, Kind
from jetvae_jax.events.loading import Events, load
from jetvae_jax.events.transform import Config, Scaler, fit, scale, unscale

__all__ = [
    "Columns",
    "Config",
    "Events",
    "Kind",
    "Scaler",
    "fit",
    "load",
    "scale",
    "unscale",
]
