"""Studies of the talks: what compares, searches and counts, apart from the library."""
