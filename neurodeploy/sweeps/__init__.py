"""Many configurations of one conversion: their list, their folder of results, their table."""
