"""Modules of spiking frameworks in ordinary PyTorch code as real-valued netlists."""
