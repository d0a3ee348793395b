"""Devices and types of numbers."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from textgen.errors import ConfigError
from textgen.recipes.training import DeviceName, PrecisionName, TrainingConfig


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


class MixedPrecision:
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
