"""Partition and placement of large networks: cores, hops, seconds and memory."""
