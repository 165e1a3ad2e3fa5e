"""Distances of one-dimensional distributions."""
