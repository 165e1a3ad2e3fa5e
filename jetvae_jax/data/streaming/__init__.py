"""Jets on disk, read chunk by chunk."""
