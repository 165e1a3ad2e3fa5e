"""Energy-flow polynomials."""
