"""The page: a report as one HTML file that asks for no other."""
