"""Energy mover's distance, coverage and MMD."""
