"""Boards: one TOML file per chip or board, the only source of limits and energy constants."""
