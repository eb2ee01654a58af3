"""Conversion: an analog graph becomes a real-valued spiking netlist."""
