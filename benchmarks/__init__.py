"""Measurements: never part of the tests, printed with the versions that they were made with."""
