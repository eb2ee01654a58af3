"""CPU time per image of the engine, beside its source network and other simulators."""
