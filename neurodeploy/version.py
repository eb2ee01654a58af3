"""The version of neurodeploy, where every layer can tell it."""

__version__ = "0.1.0"
