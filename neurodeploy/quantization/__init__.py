"""Quantization: a real-valued netlist becomes an integer one whose bounds are proved."""
