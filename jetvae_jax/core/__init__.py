"""Types, errors, settings, files and numerics that the whole package uses."""
