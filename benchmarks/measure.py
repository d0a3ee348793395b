"""What all benchmarks measure with: timing, ceilings of the same machine, tables, JSON.

A timing of a noisy machine means little alone. What is to be compared is therefore timed in turn,
in one run, and every figure stands beside a ceiling measured there: the matrix products of the
same shapes, a copy of memory, a bare start of Python.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from textgen.models.float32 import fast_float32
from textgen.models.products import Precision, pack
from textgen.training.precision import has_bfloat16
from textgen.workers.cores import cores

Work = Callable[[], object]
"""Something to be timed."""


@dataclass(frozen=True)
class Row:
    """A figure beside what the machine allows.

    Attributes:
        name: what was measured.
        ours: the figure.
        unit: of both figures.
        ceiling: what the machine allows; None where there is nothing to compare with.
        what: what the ceiling is.
        less_is_better: as for seconds and bytes.
    """

    name: str
    ours: float
    unit: str
    ceiling: float | None = None
    what: str = ""
    less_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """The share of the ceiling that is reached: 1 is all that the machine allows."""
        if self.ceiling is None or not self.ours or not self.ceiling:
            return None
        return self.ceiling / self.ours if self.less_is_better else self.ours / self.ceiling


def interleaved(
    works: Mapping[str, Work], *, warmup: int = 1, rounds: int = 5, least: float = 0.02
) -> dict[str, float]:
    """Median seconds of one call of each, timed in turn, so that noise meets all of them alike.

    Args:
        works: what is timed, by name.
        warmup: calls of each before.
        rounds: times that each has its turn.
        least: seconds of a turn: short works are called several times in it.
    """
    calls = {}
    for name, work in works.items():
        for _ in range(warmup):
            work()
        calls[name] = max(1, round(least / max(_clocked(work, 1), 1e-9)))
    spent: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            spent[name].append(_clocked(work, calls[name]))
    return {name: statistics.median(found) for name, found in spent.items()}


def seconds(work: Work, *, warmup: int = 1, rounds: int = 5, least: float = 0.02) -> float:
    """Median seconds of one call; see ``interleaved``."""
    return interleaved({"": work}, warmup=warmup, rounds=rounds, least=least)[""]


def _clocked(work: Work, calls: int) -> float:
    """Seconds of one call, the mean of several."""
    began = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - began) / calls


class Product(NamedTuple):
    """A matrix product (m, k) · (k, n), done several times.

    Attributes:
        m: rows.
        k: what is summed over.
        n: columns.
        times: how often it is done, one after the other.
        batch: products that are done at once, each with a right matrix of its own.
    """

    m: int
    k: int
    n: int
    times: float = 1.0
    batch: int = 1

    @property
    def operations(self) -> float:
        """Floating-point operations: a multiplication and an addition each."""
        return 2.0 * self.m * self.k * self.n * self.times * self.batch


def operations(products: Iterable[Product]) -> float:
    """Floating-point operations of all of them."""
    return sum(product.operations for product in products)


@torch.inference_mode()
def kernels(product: Product, dtype: torch.dtype) -> dict[str, Work]:
    """The ways to do a product once: layouts of the weights, one vector, a batch, or natively.

    int8 means weights of 8 bits and a scale for each of the n columns; the rest is bfloat16 then,
    and so are products of a batch, which have no weights.
    """
    m, k, n, _, batch = product
    if batch > 1:
        own = torch.bfloat16 if dtype == torch.int8 else dtype
        first, second = torch.randn(batch, m, k).to(own), torch.randn(batch, k, n).to(own)
        return {"batch": lambda: torch.bmm(first, second)}
    if dtype == torch.int8:
        k = -(-k // 32) * 32  # the kernel reads whole vectors
        left, scales = torch.randn(m, k).bfloat16(), torch.ones(n).bfloat16()
        small = torch.randint(-127, 128, (n, k), dtype=torch.int8)
        native = _natively(left, torch.randn(n, k), "int8")
        ways: dict[str, Work] = {
            "int8": lambda: torch._weight_int8pack_mm(left, small, scales)  # noqa: SLF001 no public name yet
        }
        # many rows are faster with the weights made bfloat16 before
        return ways | native | ({} if m == 1 else kernels(product, torch.bfloat16))
    left, weights = torch.randn(m, k).to(dtype), torch.randn(n, k).to(dtype)
    turned = weights.t().contiguous()
    ways = {
        "(n, k)": lambda: F.linear(left, weights),
        "(k, n)": lambda: left @ turned,
    }
    if m == 1:
        ways["vector"] = lambda: torch.mv(weights, left[0])
    return ways | _natively(left, weights, "float32" if dtype == torch.float32 else "bfloat16")


def _natively(left: Tensor, weights: Tensor, precision: Precision) -> dict[str, Work]:
    """A product by ``textgen.native``, where that was compiled."""
    packed = pack(weights, None, precision)
    return {} if packed is None else {"native": lambda: packed.product(left)}


@torch.inference_mode()
def product_seconds(
    product: Product, dtype: torch.dtype, *, rounds: int = 5, least: float = 0.01
) -> float:
    """Seconds of a product, done once, the fastest of ``kernels``.

    float32 goes the fastest way that is float32, as in the command line.
    """
    with fast_products():
        spent = interleaved(kernels(product, dtype), warmup=2, rounds=rounds, least=least)
    return min(spent.values())


def gemm_rate(m: int, k: int, n: int, dtype: torch.dtype, *, rounds: int = 5) -> float:
    """Floating-point operations a second of a matrix product (m, k) · (k, n)."""
    product = Product(m, k, n)
    return product.operations / product_seconds(product, dtype, rounds=rounds)


@torch.inference_mode()
def bare_products(products: Sequence[Product], dtype: torch.dtype) -> Work:
    """All the products of a step, one after the other, each with weights of its own.

    Each goes the way of ``kernels`` that is the fastest on this machine.
    """
    steps: list[Work] = []
    with fast_products():
        for product in products:
            ways = kernels(product, dtype)
            spent = interleaved(ways, warmup=2, rounds=5, least=0.002)
            steps += [ways[min(spent, key=spent.__getitem__)]] * max(1, round(product.times))

    @torch.inference_mode()
    def run() -> None:
        with fast_products():
            for step in steps:
                step()

    return run


@contextmanager
def fast_products() -> Iterator[None]:
    """``fast_float32`` without its trial product at each entry: it would be timed as well."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(_fast_setting())
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@functools.cache
def _fast_setting() -> str:
    with fast_float32():
        return torch.get_float32_matmul_precision()


def matrix_vector_seconds(
    shapes: Sequence[tuple[int, int]], dtype: torch.dtype, *, rounds: int = 9
) -> float:
    """Seconds of one vector times each of the matrices (k, n), one after the other."""
    work = bare_products([Product(1, k, n) for k, n in shapes], dtype)
    return seconds(work, warmup=5, rounds=rounds)


def copy_rate(megabytes: int = 256, *, rounds: int = 5) -> float:
    """Bytes a second of a copy in memory, read and written bytes together."""
    source = torch.ones(megabytes * 1_000_000, dtype=torch.uint8)
    target = torch.zeros_like(source)
    return 2 * source.numel() / seconds(lambda: target.copy_(source), rounds=rounds)


class Ended(NamedTuple):
    """A command that has run.

    Attributes:
        seconds: from start to end.
        peak: largest resident memory in bytes.
        output: what it wrote to stdout.
    """

    seconds: float
    peak: int
    output: str


def run(command: Sequence[str], *, stdin: str = "", **environment: str) -> Ended:
    """Run a command to its end, with its time and memory; what it says on stderr is kept back.

    Raises:
        RuntimeError: if it fails, with its last words.
    """
    process = subprocess.run(
        [sys.executable, "-c", _WRAPPER, *command],
        input=stdin,
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
    )
    said, _, last = process.stderr.rpartition("\n")
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{said[-2000:]}")
    spent, peak = last.split()
    return Ended(float(spent), int(peak), process.stdout)


# starts the command, and tells its seconds and bytes in the last line of stderr
_WRAPPER = """
import os, resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.call(sys.argv[1:])
spent = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
peak *= 1 if sys.platform == "darwin" else 1024
sys.stderr.write(f"\\n{spent} {peak}")
sys.exit(code)
"""


def peak_memory() -> int:
    """Largest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class Machine(NamedTuple):
    """Where figures come from."""

    processor: str
    cores: int
    threads: int
    bfloat16: bool
    torch: str
    python: str

    def line(self) -> str:
        """In one line."""
        numbers = "with bfloat16" if self.bfloat16 else "without bfloat16"
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        return f"{self.processor} {numbers}, {cores}, {threads}, torch {self.torch}"


def machine() -> Machine:
    """This machine, as torch uses it now."""
    return Machine(
        processor=_processor(),
        cores=cores(),
        threads=torch.get_num_threads(),
        bfloat16=has_bfloat16(torch.device("cpu")),
        torch=str(torch.__version__),
        python=platform.python_version(),
    )


def _processor() -> str:
    """The name of the processor, as the system says it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()


def figure(value: float | None) -> str:
    """Three digits that count, thousands with commas; a dash for nothing."""
    if value is None:
        return "–"
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table."""
    lines = ["| what | ours | ceiling | share | the ceiling is |", "|---|---|---|---|---|"]
    for row in rows:
        share = "–" if row.ratio is None else f"{row.ratio:.0%}"
        ours = f"{figure(row.ours)} {row.unit}".strip()
        lines.append(f"| {row.name} | {ours} | {figure(row.ceiling)} | {share} | {row.what} |")
    return "\n".join(lines)


def as_data(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows as plain data, ratios included."""
    return [{**asdict(row), "ratio": row.ratio} for row in rows]


def write_json(path: Path, data: Any) -> None:
    """Write plain data beside the machine it was measured on."""
    path.write_text(
        json.dumps({"machine": machine()._asdict(), **data}, indent=2, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)
