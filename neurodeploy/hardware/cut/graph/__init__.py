"""Graphs of listed synapses: a multilevel partition of their packets, repaired for all limits."""
