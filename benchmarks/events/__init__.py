"""Readers of events beside those of other packages."""
