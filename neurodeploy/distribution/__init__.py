"""Independent pieces of work on other processes of this machine, or on a cluster."""

from neurodeploy.distribution.tasks import completed
from neurodeploy.distribution.workers import Outcome, Workers

__all__ = ["Outcome", "Workers", "completed"]
