"""Networks on crossbar cores: fan-in beyond a core, cores against their bound, fitted levels."""
