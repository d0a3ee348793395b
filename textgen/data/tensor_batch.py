"""What all batches can do: be cut into rows, and be sent to a device."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Self, cast

import torch
from torch import Tensor


class TensorBatch:
    """Mixin of frozen dataclasses whose tensors have one row for each example.

    A subclass has a field or property ``count``: the number of predictions, which its loss is the
    mean over.
    """

    @property
    def size(self) -> int:
        """Number of rows B."""
        return len(next(iter(self._tensors().values())))

    def rows(self, index: slice) -> Self:
        """Some rows. A subclass whose ``count`` is a field counts anew."""
        return self._map(lambda tensor: tensor[index].contiguous())

    def to(self, device: torch.device) -> Self:
        """On a device, sent without waiting."""
        if device.type == "cpu":
            return self
        return self.pin()._map(lambda tensor: tensor.to(device, non_blocking=True))  # noqa: SLF001

    def pin(self) -> Self:
        """In memory from which a GPU can copy by itself."""
        return self._map(Tensor.pin_memory)

    def _tensors(self) -> dict[str, Tensor]:
        """The tensors among the fields."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self._own)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        changed = {name: change(tensor) for name, tensor in self._tensors().items()}
        return cast("Self", dataclasses.replace(self._own, **changed))

    @property
    def _own(self) -> Any:
        """The same object, as the dataclass that it is."""
        return self
