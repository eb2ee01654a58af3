"""Networks of spiking frameworks beside their import, at length."""
