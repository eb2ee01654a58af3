"""Networks of spiking frameworks, run beside their import in the environment of the frameworks."""
