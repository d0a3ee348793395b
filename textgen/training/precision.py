"""Devices and types of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from textgen.errors import ConfigError
from textgen.recipes.training import DeviceName, PrecisionName, TrainingConfig

TOLERANCE = 1e-5
"""Largest relative error of a matrix product that still counts as float32."""


def choose_device(name: DeviceName) -> torch.device:
    """The device to train on.

    Raises:
        ConfigError: if a GPU is asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(["training.device: there is no CUDA device here. Allowed: auto, cpu."])
    return torch.device(name)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 itself."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # there is no public name for it before torch 2.10
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return probe is not None and bool(probe())


def resolve_precision(name: PrecisionName, device: torch.device) -> torch.dtype:
    """float32 or bfloat16; ``auto`` is bfloat16 where the hardware has it."""
    if name == "auto":
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


class Arithmetic:
    """Where and in what type a training calculates.

    Args:
        config: device and precision.

    Raises:
        ConfigError: if the device is not there.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.device = choose_device(config.device)
        self.dtype = resolve_precision(config.precision, self.device)

    def autocast(self) -> AbstractContextManager[object]:
        """For one forward pass: bfloat16 products where asked for; weights stay float32."""
        if self.dtype == torch.bfloat16:
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()


@contextmanager
def fast_float32() -> Iterator[None]:
    """Let float32 products take the fastest way that is still float32.

    On some CPUs torch's setting "medium" doubles their speed at the same accuracy, on others it
    means bfloat16: a small product tells which.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    if _product_error() > TOLERANCE:
        torch.set_float32_matmul_precision(before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _product_error() -> float:
    """Relative error of a float32 product on the CPU."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 256, 256, generator=generator).unbind()
    exact = left.double() @ right.double()
    return float((left @ right - exact).norm() / exact.norm())
