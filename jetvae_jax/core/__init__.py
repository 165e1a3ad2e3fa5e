"""Types, errors, settings, files and numerics that every other room uses."""
