"""A pretended accelerator, so that the way of the code on another device is run without one.

Its tensors hold those of the CPU that they stand for; each operation is the CPU's on what they
hold. As on a GPU an operation refuses tensors of two devices, values are read only by way of the
host, and neither addresses nor NumPy arrays are to be had. What the host waits for is counted.
Kernels of its own, their speed and their rounding are what it lacks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Self

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

try:
    from torch.utils.backend_registration import (
        _DummyBackendModule,
        _setup_privateuseone_for_python_backend,
    )
except ImportError:
    pytest.skip("this torch has no devices in Python", allow_module_level=True)

NAME = "pretended"

_MOVES = {"_to_copy", "copy_"}
_READS = {"_local_scalar_dense", "nonzero", "equal", "is_nonzero"}
"""Operations whose answer the host waits for."""


class Held(Tensor):
    """A tensor on the pretended device: the CPU's that it stands for is ``inner``."""

    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls: type[Self], inner: Tensor) -> Self:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
        )
        assert isinstance(made, Held)
        made.inner = inner
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Held({self.inner})"

    def tolist(self) -> Any:
        WAITS["tolist"] += 1
        return self.inner.tolist()

    def data_ptr(self) -> int:
        raise RuntimeError("an address on another device")

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _run(function, args, kwargs or {})


class _Everywhere(TorchDispatchMode):
    """Tensors that are made on the device come here, where no other tensor leads them."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _run(function, args, kwargs or {})


WAITS: Counter[str] = Counter()
"""How often the host waited, by operation; since ``accelerator`` began."""


@contextmanager
def accelerator() -> Iterator[torch.device]:
    """The device, for as long as the context lasts."""
    _register()
    WAITS.clear()
    before = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(…) makes it here and sends it
    torch.__future__.set_swap_module_params_on_conversion(True)  # module.to(…): ``inner`` too
    try:
        with _Everywhere():
            yield torch.device(NAME, 0)
    finally:
        torch._C._set_only_lift_cpu_tensors(before)
        torch.__future__.set_swap_module_params_on_conversion(False)


@cache
def _register() -> None:
    """A name for the device, and what autograd and autocast ask of one; once for the process."""
    _setup_privateuseone_for_python_backend(NAME, backend_module=_Module())


class _Module(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


def _run(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name, known = function.overloadpacket.__name__, _Known()
    args, kwargs = tree_map(known.inner, (args, kwargs))
    if known.held and known.plain and name not in _MOVES:
        raise RuntimeError(f"{function}: tensors of two devices")
    held = bool(known.held)
    there = known.held.get(id(args[0])) is not None if name == "copy_" else held
    if kwargs.get("device") is not None:
        there = torch.device(kwargs["device"]).type == NAME
        kwargs["device"] = torch.device("cpu")
    if held and (name in _READS or not there):
        WAITS[name] += 1
    with torch.inference_mode(False), torch.no_grad():  # a view of what it is not must be had too
        found = _KERNELS.get(name, function)(*args, **kwargs)
        return tree_map(known.outer, found) if there else found


class _Known:
    """The tensors of a call: ``held``, of the device, by the identities of their inner ones."""

    def __init__(self) -> None:
        self.held: dict[int, Held] = {}
        self.plain = False

    def inner(self, value: Any) -> Any:
        if isinstance(value, Held):
            self.held[id(value.inner)] = value
            return value.inner
        self.plain = self.plain or (isinstance(value, Tensor) and value.dim() > 0)
        return value

    def outer(self, value: Any) -> Any:
        """What an operation changed in place is the tensor that it was given."""
        if not isinstance(value, Tensor):
            return value
        return self.held[id(value)] if id(value) in self.held else Held(value)


def _lstm_cell(
    given: Tensor, own: Tensor, memory: Tensor, bias: Tensor | None, other: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """What GPUs have for a step of ``torch.lstm``: h (N, H), C (N, H) and the gates (N, 4·H)."""
    sums = given + own
    if bias is not None and other is not None:
        sums = sums + bias + other
    i, f, c, o = sums.chunk(4, 1)
    i, f, c, o = i.sigmoid(), f.sigmoid(), c.tanh(), o.sigmoid()
    new = f * memory + i * c
    return o * new.tanh(), new, torch.cat([i, f, c, o], 1)


def _lstm_cell_backward(*given: Any) -> tuple[Tensor, Tensor, Tensor | None]:
    """The gradients of h, C' and C, the gates and whether there is a bias to those before."""
    hidden, memory, before, after, workspace, has_bias = given
    i, f, c, o = workspace.chunk(4, 1)
    seen = after.tanh()
    to_hidden = torch.zeros_like(after) if hidden is None else hidden
    to_memory = to_hidden * o * (1 - seen * seen)
    if memory is not None:
        to_memory = to_memory + memory
    to_gates = torch.cat(
        [
            to_memory * c * i * (1 - i),
            to_memory * before * f * (1 - f),
            to_memory * i * (1 - c * c),
            to_hidden * seen * o * (1 - o),
        ],
        1,
    )
    return to_gates, to_memory * f, to_gates.sum(0) if has_bias else None


_KERNELS: dict[str, Callable[..., Any]] = {
    "_pin_memory": lambda tensor, **_: tensor,
    "_thnn_fused_lstm_cell": _lstm_cell,
    "_thnn_fused_lstm_cell_backward_impl": _lstm_cell_backward,
}
