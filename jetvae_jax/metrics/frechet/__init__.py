"""Fréchet and kernel distances in feature spaces."""
