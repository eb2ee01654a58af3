"""How memory and time grow with the size of networks, runs and data."""
