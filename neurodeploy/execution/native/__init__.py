"""The engine for integer netlists: kernels in C that do only the work that spikes cause."""
