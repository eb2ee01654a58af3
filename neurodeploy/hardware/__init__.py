"""Boards, netlists cut into their cores, cores placed on their grid, and joules and seconds."""
