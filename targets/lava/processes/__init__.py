"""Lava process definitions, and nothing else.

Lava's compiler imports every file beside a process, under bare names, while it looks for models:
whatever need not be here stands one folder up, and imports here are absolute.
"""
