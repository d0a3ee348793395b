"""One process that trains alone, as a group of one: the null object beside ``DistributedGroup``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from hashlib import blake2b
from typing import TypeVar

import torch
from torch import Tensor, nn

from textgen.data.tensor_batch import TensorBatch

T = TypeVar("T")
BatchT = TypeVar("BatchT", bound=TensorBatch)


def rank_seed(seed: int, rank: int) -> int:
    """A seed of 63 bits for a rank's own random numbers, by BLAKE2b.

    No rank of one training draws what a rank of another one does: seed + rank would be alike.
    """
    key = blake2b(f"{seed}/{rank}".encode(), digest_size=8).digest()
    return int.from_bytes(key, "little") >> 1


class ProcessGroup:
    """One process that trains alone.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    rank = 0
    size = 1

    @property
    def leads(self) -> bool:
        """Whether this is the first rank, the one that writes, tells and judges."""
        return self.rank == 0

    def rows(self, batch: BatchT) -> BatchT | None:
        """The rows of a batch that are this rank's; None where it has none."""
        return batch

    def parallel(self, module: nn.Module) -> nn.Module:
        """A module that is called in the same way and whose gradients are all ranks' mean."""
        return module

    def without_exchange(self, module: nn.Module) -> AbstractContextManager[object]:
        """Inside, gradients of a ``parallel`` module add up in each rank alone."""
        del module
        return nullcontext()

    def require_device(self, device: torch.device) -> None:
        """Check that this rank has such a device.

        Raises:
            ConfigError: if it does not.
        """

    def first(self, action: Callable[[], T]) -> T:
        """Let the first rank do something; all have what it gives, which is JSON."""
        return action()

    def number(self, value: float) -> float:
        """The first rank's number."""
        return value

    def any(self, flag: bool) -> bool:
        """Whether a flag is set in any rank."""
        return flag

    def total(self, value: Tensor) -> float:
        """The sum of all ranks' scalars; waits for the device."""
        return float(value)

    def shared(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The first rank's tensors."""
        return tensors

    def collected(self, tensors: Mapping[str, Tensor]) -> list[Mapping[str, Tensor]]:
        """All ranks' tensors, by rank."""
        return [tensors]

    def require_same(self, what: str, value: object) -> None:
        """Check that all ranks were given the same.

        Args:
            what: a word for it.
            value: JSON.

        Raises:
            UsageError: if this rank's value is not the first one's.
        """

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """The first rank of each machine goes in before the others: they find what it cached."""
        yield
