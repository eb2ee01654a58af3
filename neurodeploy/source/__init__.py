"""Source networks to analog graphs. Importing this package imports no framework."""
