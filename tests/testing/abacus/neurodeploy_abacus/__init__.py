"""A target and a conversion method of another distribution."""
