"""Where the cores of a mapping lie: candidates, search, costs, files."""
