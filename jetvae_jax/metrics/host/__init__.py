"""Where and how metrics run on the host."""
