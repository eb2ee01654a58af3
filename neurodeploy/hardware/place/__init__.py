"""Placement of a mapping's cores: candidates, search, costs, files."""
