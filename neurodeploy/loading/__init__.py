"""Files that others made: the door through which they are read, and the types of what they hold."""
