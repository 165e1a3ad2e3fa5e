"""Classifier two-sample test."""
