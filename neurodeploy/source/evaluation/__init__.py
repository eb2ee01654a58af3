"""Source networks evaluated on samples, in NumPy and in PyTorch."""
