"""Verification: that every executor computes the same spikes, and what they say of the network."""
