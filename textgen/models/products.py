"""Products x Wᵀ + b with weights that were prepacked once, for models that only decode.

A search multiplies a few rows by the same weights thousands of times. ``functional.linear`` brings
16-bit weights into the order that the processor wants at every call; here that is done once
(measured: 1.3 to 1.8 times as fast from 2 to 320 rows). Weights of 8 bits take half the memory
traffic again, which is what counts where there are few rows.

Where ``textgen.native`` was compiled, weights of 16 and 8 bits are multiplied there, and no row's
result depends on the others. Elsewhere torch multiplies: it has these products for its compiler
only, under private names, and where one is missing, plain products take its place.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from textgen.native import Prepacked, kernels

Precision = Literal["float32", "bfloat16", "int8"]
"""Of weights: int8 keeps one scale for each row of W, activations are then bfloat16."""

NUMBERS: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "int8": torch.bfloat16,
}
"""Type of what is not a prepacked weight: token vectors, states, activations."""

FEW_ROWS = 8
"""Up to so many rows the traffic of the weights counts, above it the arithmetic."""

FEW_WEIGHTS = 1 << 16
"""Up to so many weights an output layer multiplies as float32 on a CPU."""

_TILE = 16  # rows that the processor multiplies at once
_ROWS = 320  # for which oneDNN chooses the layout; another number is multiplied as well
_LEVELS = 127
_VECTOR = 32  # torch's kernel for 8 bits reads whole vectors, past the end of other sizes


class Product(ABC):
    """Rows (N, I) to (N, O), which are of the rows' type or float32."""

    @abstractmethod
    def __call__(self, inputs: Tensor) -> Tensor:
        """X Wᵀ + b, (N, I) to (N, O)."""

    def plus(self, inputs: Tensor, addend: Tensor) -> Tensor:
        """X Wᵀ + b + addend, (N, I) and (N, O) to (N, O)."""
        return self(inputs) + addend


class Plain(Product):
    """Weights turned round, (I, O): 17 rows of float32 take 0.6 to 0.75 of the time, 64 0.8 to 0.9.

    Args:
        weight: (O, I).
        bias: (O,), or None for 0.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = weight.t().contiguous(), bias

    @override
    def __call__(self, inputs: Tensor) -> Tensor:
        if self._bias is None:
            return torch.mm(inputs, self._weight)
        return torch.addmm(self._bias, inputs, self._weight)

    @override
    def plus(self, inputs: Tensor, addend: Tensor) -> Tensor:
        if self._bias is not None:
            addend = addend + self._bias
        return torch.addmm(addend, inputs, self._weight)


class Wide(Product):
    """Few weights, of whatever precision, multiplied as float32; gives float32.

    A product of 16 or 8 bits takes 60 µs before it begins to multiply, which is more than a small
    one takes in 32 (measured: 100 × 512 in 19 µs instead of 77).

    Args:
        weight: (O, I).
        bias: (O,), or None for 0.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._product = Plain(weight.float(), None if bias is None else bias.float())

    @override
    def __call__(self, inputs: Tensor) -> Tensor:
        return self._product(inputs.float())


class Packed(Product):
    """Weights in the blocks that oneDNN multiplies; for a CPU with bfloat16.

    oneDNN compiles a kernel for each number of rows, which takes longer than many products do, and
    keeps it; so rows are filled up with zeros to one of a few numbers (``whole_rows``).

    Args:
        weight: (O, I) bfloat16.
        bias: (O,) bfloat16, or None for 0.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = _operator("mkldnn", "_reorder_linear_weight")(weight.detach(), _ROWS)
        self._multiply = _operator("mkldnn", "_linear_pointwise")
        self._multiply_add = getattr(self._multiply, "binary", None)
        self._bias = bias

    @override
    def __call__(self, inputs: Tensor) -> Tensor:
        rows = inputs.shape[0]
        whole = _filled(inputs)
        found: Tensor = self._multiply(whole, self._weight, self._bias, "none", [], "")
        return found if whole is inputs else found[:rows]

    @override
    def plus(self, inputs: Tensor, addend: Tensor) -> Tensor:
        if self._multiply_add is None:
            return self(inputs).add_(addend)
        rows = inputs.shape[0]
        whole, more = _filled(inputs), _filled(addend)
        found: Tensor = self._multiply_add(whole, more, self._weight, self._bias, "add")
        return found if whole is inputs else found[:rows]


class Native(Product):
    """Weights of 16 or 8 bits multiplied in C; gives float32.

    A row's result is the same whatever the number of rows: its sums are made in one order.

    Args:
        packed: the weights.
    """

    def __init__(self, packed: Prepacked) -> None:
        self._packed = packed

    @override
    def __call__(self, inputs: Tensor) -> Tensor:
        return self._packed.product(inputs)

    @override
    def plus(self, inputs: Tensor, addend: Tensor) -> Tensor:
        return self._packed.product(inputs, addend)


class Small(Product):
    """Weights of 8 bits, W ≈ scale_o · q with q in −127 … 127, multiplied by 16-bit activations.

    Few rows are multiplied by the 8-bit weights themselves; for many rows the same values stand
    ready in 16 bits, so that the result does not depend on the number of rows beyond rounding.

    Args:
        weight: (O, I), any float type.
        bias: (O,), or None for 0.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._small, self._scale = eight_bits(weight)
        self._bias = None if bias is None else bias.detach().bfloat16()
        self._many = _sixteen_bits(_values(self._small, self._scale), self._bias)
        whole = not any(size % _VECTOR for size in weight.shape)
        self._multiply = (
            _operator("aten", "_weight_int8pack_mm") if weight.is_cpu and whole else None
        )

    @override
    def __call__(self, inputs: Tensor) -> Tensor:
        if inputs.shape[0] > FEW_ROWS or self._multiply is None:
            return self._many(inputs)
        product: Tensor = self._multiply(inputs, self._small, self._scale)
        return product if self._bias is None else product.add_(self._bias)


def whole_rows(rows: int) -> int:
    """The next number of rows for which there is to be a kernel: eight in each doubling.

    All up to 8, multiples of 16 up to 256, of 32 up to 512, of 64 up to 1,024, and so on: from 128
    on at most an eighth too many. Below, 16 rows are multiplied at once anyway.
    """
    if rows <= FEW_ROWS:
        return rows
    step = max(_TILE, 1 << max(0, (rows - 1).bit_length() - 4))
    return -(-rows // step) * step


def _filled(rows: Tensor) -> Tensor:
    """(N, F), and zeros below."""
    spare = whole_rows(rows.shape[0]) - rows.shape[0]
    return F.pad(rows, (0, 0, 0, spare)) if spare else rows


def eight_bits(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (O, I) as q (O, I) int8 in −127 … 127 and scales (O,) bfloat16, W ≈ scale · q."""
    wide = weight.detach().float()
    scale = (wide.abs().amax(1).clamp(min=1e-12) / _LEVELS).bfloat16()
    levels = torch.round(wide / scale.float().unsqueeze(1)).clamp(-_LEVELS, _LEVELS)
    return levels.to(torch.int8), scale


def _values(levels: Tensor, scale: Tensor) -> Tensor:
    """(O, I) bfloat16 of what ``eight_bits`` gave."""
    return (levels.float() * scale.float().unsqueeze(1)).bfloat16()


def prepack(weight: Tensor, bias: Tensor | None, precision: Precision) -> Product:
    """A product with weights in the order and type in which they are multiplied fastest.

    Args:
        weight: (O, I) of a float type.
        bias: (O,), or None for 0.
        precision: of the weights.
    """
    # float32 comes from memory no faster
    packed = None if precision == "float32" else pack(weight, bias, precision)
    return _in_torch(weight, bias, precision) if packed is None else Native(packed)


def pack(
    weight: Tensor, bias: Tensor | None, precision: Precision, *, gates: bool = False
) -> Prepacked | None:
    """Weights as ``prepack`` takes them, for products in C; None where these are not.

    Args:
        weight: (O, I) of a float type.
        bias: (O,), or None for 0.
        precision: of the weights.
        gates: they are an LSTM's; see ``textgen.native.Prepacked``.
    """
    compiled = kernels()
    if compiled is None or not weight.is_cpu:
        return None
    if precision == "int8":
        levels, scale = eight_bits(weight)
        return Prepacked(compiled, levels, bias, scale, gates=gates)
    return Prepacked(compiled, weight.detach().to(NUMBERS[precision]), bias, gates=gates)


def rows_are_independent(device: torch.device, precision: Precision) -> bool:
    """Whether a row of ``prepack``'s products is the same to the last bit beside any other rows.

    True of weights of 16 or 8 bits that are multiplied in C. torch's products round sums of
    another order where the number of rows is another one: by 1e-7 in float32, which changes a
    decision hardly ever, and by 4e-3 in bfloat16.
    """
    return precision != "float32" and device.type == "cpu" and kernels() is not None


def _in_torch(weight: Tensor, bias: Tensor | None, precision: Precision) -> Product:
    """A product of torch's."""
    if precision == "int8":
        return Small(weight, bias)
    numbers = NUMBERS[precision]
    weight, bias = weight.detach().to(numbers), None if bias is None else bias.detach().to(numbers)
    return _sixteen_bits(weight, bias) if precision == "bfloat16" else Plain(weight, bias)


class PrepackedOutput:
    """An output layer: features (…, F) to logits (…, V), through a narrower layer or not.

    Args:
        narrow: the layer before the last, or none.
        weight: (V, F) of the last layer.
        bias: (V,) of the last layer, or None for 0.
        precision: of their weights.
    """

    def __init__(
        self,
        narrow: nn.Linear | None,
        weight: Tensor,
        bias: Tensor | None,
        precision: Precision,
    ) -> None:
        self.precision = precision
        self._small = precision != "float32" and weight.is_cpu and weight.numel() <= FEW_WEIGHTS
        self.products = [self._last(weight, bias)]
        if narrow is not None:
            self.products.insert(0, prepack(narrow.weight, narrow.bias, precision))

    def with_last(self, weight: Tensor, bias: Tensor) -> PrepackedOutput:
        """The same with some rows of the last layer: (V', F) and (V',), multiplied as all were."""
        output = copy.copy(self)
        output.products = [*self.products[:-1], self._last(weight, bias)]
        return output

    def _last(self, weight: Tensor, bias: Tensor | None) -> Product:
        """What gives the logits, which become float32 anyway."""
        if not self._small:
            return prepack(weight, bias, self.precision)
        numbers = NUMBERS[self.precision]
        weight = weight.detach().to(numbers)
        bias = None if bias is None else bias.detach().to(numbers)
        packed = pack(weight, bias, "bfloat16")
        return Wide(weight, bias) if packed is None else Native(packed)

    def __call__(self, features: Tensor) -> Tensor:
        """(…, F) to (…, V)."""
        values = features.reshape(-1, features.shape[-1])
        for product in self.products:
            values = product(values)
        return values.view(*features.shape[:-1], -1)


def prepack_output(
    narrow: nn.Module, projection: nn.Linear, precision: Precision
) -> PrepackedOutput:
    """The output layer of a model: ``projection`` after ``narrow``, a linear layer or nothing."""
    before = narrow if isinstance(narrow, nn.Linear) else None
    return PrepackedOutput(before, projection.weight, projection.bias, precision)


def _sixteen_bits(weight: Tensor, bias: Tensor | None) -> Product:
    """Packed where there is a way to."""
    if weight.is_cpu and _packs():
        return Packed(weight, bias)
    return Plain(weight, bias)


def _operator(library: str, name: str) -> Any:
    """One of torch's operators, or None where it does not have it."""
    return getattr(getattr(torch.ops, library), name, None)


def _packs() -> bool:
    """Whether oneDNN is there and multiplies bfloat16 on this processor."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    supported = _operator("mkldnn", "_is_mkldnn_bf16_supported")
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return bool(supported and supported() and all(_operator("mkldnn", each) for each in names))
