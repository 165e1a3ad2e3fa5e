"""Comparison of six models of Z gamma events (Stevenson, Kruger 2022)."""
