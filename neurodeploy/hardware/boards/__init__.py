"""Board files, read: grids, limits and constants with unit, basis and source."""
