"""Charts of matplotlib: one function a figure, the same for files, notebooks and pages."""
