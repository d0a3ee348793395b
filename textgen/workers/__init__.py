"""Work shared out over threads or processes; the results keep the order of the work."""

from textgen.workers.ordered import WorkerPool, in_order, ordered
from textgen.workers.processes import processes

__all__ = ["WorkerPool", "in_order", "ordered", "processes"]
