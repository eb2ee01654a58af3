"""Mapping: populations cut into cores of a board and placed on its grid."""
