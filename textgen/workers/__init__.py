"""Work shared out over threads or processes; the results keep the order of the work."""

from textgen.workers.ordered import Crew, in_order, ordered
from textgen.workers.processes import processes

__all__ = ["Crew", "in_order", "ordered", "processes"]
