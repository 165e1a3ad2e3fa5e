"""Losses of sparse images compared."""
