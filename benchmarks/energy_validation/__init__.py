"""Predictions against published deployments, on assumptions frozen in points.toml."""
