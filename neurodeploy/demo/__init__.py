"""The demonstration: everything neurodeploy does, on embedded data, in under two minutes."""
