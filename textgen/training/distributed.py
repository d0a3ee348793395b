"""Training one model in several processes, on the cores of one machine or on many machines.

Each process, a *rank*, holds the whole model. All go through the same batches, which are a
function of seed and epoch, and each works on its own rows. DistributedDataParallel (Li et al. 2020,
"PyTorch Distributed: Experiences on Accelerating Data Parallel Training") sums their gradients
while they are made, over gloo on CPUs and NCCL on GPUs, so that every rank makes the same update.

``ProcessGroup`` is one process alone, for which all of this is nothing; ``DistributedGroup`` is
the real thing. What depends on a clock, on a key pressed or on a disk is the first rank's to say.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous

from textgen.data.tensor_batch import TensorBatch
from textgen.errors import ConfigError, TrainingError, UsageError
from textgen.training.group import ProcessGroup
from textgen.training.rows import own_rows

T = TypeVar("T")
BatchT = TypeVar("BatchT", bound=TensorBatch)

VARIABLES = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells the processes it starts."""

RENDEZVOUS_TIMEOUT = timedelta(minutes=5)
"""How long a process waits for the others to be there."""

COLLECTIVE_TIMEOUT = timedelta(hours=12)
"""How long ranks wait for one that reads the text or validates; a process that ends is noticed
at once."""


class PeerLost(TrainingError):  # noqa: N818  # told apart from the errors that explain themselves
    """Another process of the training has ended, or cannot be reached."""


class DistributedGroup(ProcessGroup):
    """One of several processes; made by ``joined``.

    Args:
        place: of this process.
    """

    def __init__(self, place: RankInfo) -> None:
        self.rank, self.size, self.local_rank = place.rank, place.size, place.local_rank

    def rows(self, batch: BatchT) -> BatchT | None:
        """The rows rank, rank + size, … of a batch."""
        return own_rows(batch, self.rank, self.size)

    def parallel(self, module: nn.Module) -> nn.Module:
        """DistributedDataParallel; begins with the first rank's weights."""
        wrapped = nn.parallel.DistributedDataParallel(module, gradient_as_bucket_view=True)
        wrapped.broadcast_buffers = False  # they do not change in training
        return wrapped

    def without_exchange(self, module: nn.Module) -> AbstractContextManager[object]:
        """DistributedDataParallel's ``no_sync``."""
        parallel: Any = module
        exchange: AbstractContextManager[object] = parallel.no_sync()
        return exchange

    def require_device(self, device: torch.device) -> None:
        """A GPU for each rank of a machine."""
        count = torch.cuda.device_count()
        if device.type == "cuda" and self.local_rank >= count:
            problem = (
                f"training.device: there are {count} GPUs here and at least "
                f"{self.local_rank + 1} processes. Start at most {count} with --nproc-per-node, "
                "or set training.device=cpu."
            )
            raise ConfigError([problem])

    def first(self, action: Callable[[], T]) -> T:
        """Let the first rank do something; if it fails, the others end with ``PeerLost``."""
        told = json.dumps(action()).encode() if self.leads else b""
        result: T = json.loads(_shared_bytes(told, 0, leads=self.leads))
        return result

    def number(self, value: float) -> float:
        """The first rank's number, float64."""
        told = torch.tensor(value, dtype=torch.float64)
        dist.broadcast(told, 0)
        return told.item()

    def any(self, flag: bool) -> bool:
        """Whether a flag is set in any rank."""
        return self.total(torch.tensor(float(flag))) > 0

    def total(self, value: Tensor) -> float:
        """The sum, in float64."""
        summed = value.detach().to("cpu", torch.float64)
        dist.all_reduce(summed)
        return float(summed)

    def shared(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The first rank's tensors, on the CPU."""
        return self._told(tensors, 0)

    def collected(self, tensors: Mapping[str, Tensor]) -> list[Mapping[str, Tensor]]:
        """All ranks' tensors, on the CPU, whatever their shapes."""
        return [self._told(tensors, rank) for rank in range(self.size)]

    def require_same(self, what: str, value: object) -> None:
        """Compare with the first rank's value."""
        first = self.first(lambda: value)
        if first != json.loads(json.dumps(value)):
            raise UsageError(
                f"The {what} is another one here than in the first process: {value}, not {first}. "
                "Start all with the same command and the same files."
            )

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """The first rank of each machine before the others."""
        if self.local_rank > 0:
            self.any(False)
        yield
        if self.local_rank == 0:
            self.any(False)

    def _told(self, tensors: Mapping[str, Tensor], teller: int) -> Mapping[str, Tensor]:
        """A rank's tensors in all ranks."""
        tells = self.rank == teller
        given = [
            (name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape))
            for name, tensor in tensors.items()
        ]
        header = _shared_bytes(json.dumps(given).encode(), teller, leads=tells)
        told = {}
        for name, dtype, shape in json.loads(header):
            tensor = (
                tensors[name].detach().cpu().contiguous()
                if tells
                else torch.empty(shape, dtype=getattr(torch, dtype))
            )
            if tensor.numel():
                dist.broadcast(tensor.reshape(-1).view(torch.uint8), teller)
            told[name] = tensor
        return told


@dataclass(frozen=True)
class RankInfo:
    """Where a process stands among those that torchrun started.

    Attributes:
        rank: among all.
        size: number of all.
        local_rank: among those of this machine, which is also the number of its GPU.
    """

    rank: int
    size: int
    local_rank: int

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> RankInfo | None:
        """The place that the environment tells; None for a process alone.

        Raises:
            UsageError: if the environment tells a part only, or no numbers.
        """
        if environment.get("WORLD_SIZE", "1").strip() in {"", "1"}:
            return None
        missing = [name for name in VARIABLES if not environment.get(name)]
        if missing:
            raise UsageError(
                f"WORLD_SIZE asks for several processes, but {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not set. Start them with torchrun, "
                "or unset WORLD_SIZE to train in one."
            )
        size, rank, local_rank = (_whole(environment, name) for name in VARIABLES[:3])
        _whole(environment, "MASTER_PORT")
        if size < 1 or rank >= size:
            raise UsageError(f"RANK is {rank}: it must be less than WORLD_SIZE, {size}.")
        return cls(rank, size, local_rank)


@contextmanager
def joined() -> Iterator[ProcessGroup]:
    """The group of processes that torchrun started, until the block ends.

    Yields:
        ``DistributedGroup``, or a ``ProcessGroup`` of one where the environment tells of no other
        process.

    Raises:
        UsageError: if the environment is set in part only.
        TrainingError: if the processes do not find each other.
        PeerLost: if another one ends before this one.
    """
    place = RankInfo.read(os.environ)
    if place is None:
        yield ProcessGroup()
        return
    _meet(place)
    try:
        yield DistributedGroup(place)
    except RuntimeError as error:
        if not _is_lost(error):
            raise
        raise PeerLost(
            "Another process of this training has ended or cannot be reached. "
            "What was saved before is kept; --resume goes on from there."
        ) from error
    finally:
        dist.destroy_process_group()


def _meet(place: RankInfo) -> None:
    """Wait for all processes and connect them."""
    backend = "gloo"
    if torch.cuda.is_available() and place.local_rank < torch.cuda.device_count():
        torch.cuda.set_device(place.local_rank)
        backend = "cpu:gloo,cuda:nccl"
    try:
        met: Any = rendezvous("env://", timeout=RENDEZVOUS_TIMEOUT)
        store, _, _ = next(met)
        dist.init_process_group(
            backend, store=store, rank=place.rank, world_size=place.size, timeout=COLLECTIVE_TIMEOUT
        )
    except (RuntimeError, ValueError, OSError) as error:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise TrainingError(
            f"Process {place.rank} of {place.size} does not find the others at {address}: "
            f"{str(error).splitlines()[0]} Check that the address can be reached, that all "
            "processes were started, and GLOO_SOCKET_IFNAME where a machine has several networks."
        ) from None


def _is_lost(error: RuntimeError) -> bool:
    """Whether an error comes from a connection."""
    words = ("gloo", "connection closed", "connection reset", "nccl", "broken pipe")
    text = str(error).lower()
    return isinstance(error, dist.DistError) or any(word in text for word in words)


def _shared_bytes(payload: bytes, teller: int, *, leads: bool) -> bytes:
    """The teller's bytes in all ranks."""
    size = torch.tensor(len(payload))
    dist.broadcast(size, teller)
    content = torch.empty(int(size), dtype=torch.uint8)
    if leads:
        content.copy_(torch.frombuffer(bytearray(payload), dtype=torch.uint8))
    dist.broadcast(content, teller)
    return bytes(content.numpy())


def _whole(environment: Mapping[str, str], name: str) -> int:
    value = environment[name].strip()
    if not value.isdecimal():
        raise UsageError(f"{name} is {value!r}: a whole number is needed; torchrun sets it.")
    return int(value)
