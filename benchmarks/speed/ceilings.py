"""How long the bare products of some work take on this machine."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from benchmarks.measure import Product, operations, product_seconds

EXACT = 8
"""Up to here each number of rows is measured; beyond, four for each doubling."""


def coarse(rows: int) -> int:
    """The number of rows of the grid that is nearest."""
    if rows <= EXACT:
        return rows
    return round(2 ** (round(4 * math.log2(rows)) / 4))


class Ceilings:
    """Seconds of products in one type of numbers; each shape is measured once.

    Args:
        dtype: of the numbers.
        rounds: of each measurement.
    """

    def __init__(self, dtype: torch.dtype, rounds: int = 3) -> None:
        self.dtype, self.rounds = dtype, rounds
        self._spent: dict[Product, float] = {}

    def seconds(self, products: Iterable[Product]) -> float:
        """Seconds of all products, one after the other; rows are rounded to a grid."""
        return sum(self._one(product) for product in products)

    def rate(self, products: Iterable[Product]) -> float:
        """Floating-point operations a second of all products together."""
        found = list(products)
        return operations(found) / self.seconds(found)

    def _one(self, product: Product) -> float:
        if not product.operations:
            return 0.0
        near = product._replace(m=coarse(product.m), n=_near(product.n), times=1.0)
        if near not in self._spent:
            self._spent[near] = product_seconds(near, self.dtype, rounds=self.rounds, least=0.003)
        return self._spent[near] * product.operations / near.operations


def _near(columns: int) -> int:
    """Columns of weights as they are; few ones are those of a batch and go to the grid."""
    return columns if columns > 64 else coarse(columns)
