"""Spiking networks made elsewhere: files and what their neurons mean, to netlists."""
