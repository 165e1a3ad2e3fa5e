"""Local to global significance by pseudo-experiments."""
