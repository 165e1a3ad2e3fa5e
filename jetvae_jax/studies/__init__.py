"""Studies: comparisons, searches for signal and toys, apart from the library."""
