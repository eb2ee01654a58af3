"""Independent pieces of work on other processes of this machine, or on a cluster."""

from neurodeploy.distribution.workers import Outcome, Workers, completed

__all__ = ["Outcome", "Workers", "completed"]
