"""Local and global significance by pseudo-experiments."""
