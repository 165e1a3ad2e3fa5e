"""Observables of jets."""
