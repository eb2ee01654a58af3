"""Targets: what a netlist compiles to. Each is one folder and one line in ``registry.py``."""
