"""What users would pick instead, in PyTorch, as its authors write it."""
