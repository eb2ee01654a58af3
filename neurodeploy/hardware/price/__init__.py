"""Energy: event counts of an exact run, and what they cost in joules and seconds on a board."""
