"""The engine in PyTorch: real-valued netlists, and integer ones without native kernels."""
