"""Comparison of losses of sparse images."""
