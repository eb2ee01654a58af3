"""Crossbar cores in the style of TrueNorth: compiler, core files and core-level simulator."""
