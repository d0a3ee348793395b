"""Single steps in C: products, an LSTM's gates, attention, the best moves.

A step of one hypothesis or of a narrow beam is small work: torch takes some microseconds to begin
each of its dozens of operations, and multiplies a few rows slower than memory brings the weights.
``kernels.c`` does a layer in one call. Weights of 16 and 8 bits are multiplied there for any number
of rows: the sums of a row have one order, so its result is the same to the last bit beside any
others. It is optional: the package's build compiles it where there
is a C compiler (``hatch_build.py``), once for each kind of processor. Where there is none, or with
``TEXTGEN_NATIVE=0``, the Python beside each use computes the same up to rounding;
``TEXTGEN_NATIVE=avx2`` (or another of ``KINDS``) takes no faster kind than that.

Its threads are torch's own: both use one OpenMP library where torch ships it under the common
name, and as many threads as ``torch.get_num_threads()`` says where there is work for them.
"""

from textgen.native.library import (
    KINDS,
    VARIABLE,
    Attended,
    Kernels,
    Recorded,
    kernels,
    load,
    without,
)
from textgen.native.prepacked import MAX_KERNEL_ROWS, Prepacked

__all__ = [
    "KINDS",
    "MAX_KERNEL_ROWS",
    "VARIABLE",
    "Attended",
    "Kernels",
    "Prepacked",
    "Recorded",
    "kernels",
    "load",
    "without",
]
