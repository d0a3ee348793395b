"""A corpus larger than memory: tokenise a synthetic file and walk training batches over it.

Peak memory must not depend on the size of the file. Run it for two sizes and compare:

    python benchmarks/large_corpus.py --megabytes 20
    python benchmarks/large_corpus.py --megabytes 2000
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from textgen.data.batching import LaneBatches
from textgen.data.opening import open_text
from textgen.data.splitting import hold_out
from textgen.data.tokenising import tokenise_stream
from textgen.data.tokenizers import TokenizerConfig, train_tokenizer

SENTENCES = 20_000
BLOCK = 1 << 24


def write_corpus(path: Path, megabytes: int) -> None:
    """Text of random words with a natural distribution, written block by block."""
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    words = ["".join(rng.choice(letters, size)) for size in rng.integers(1, 12, 30_000)]
    ranks = rng.zipf(1.3, SENTENCES * 12) % len(words)
    chosen = [words[rank] for rank in ranks]
    lines = [" ".join(chosen[i : i + 12]) + "\n" for i in range(0, len(chosen), 12)]
    written, target = 0, megabytes * 1_000_000
    with path.open("wb") as file:
        while written < target:
            order = rng.permutation(len(lines))
            block = "".join(lines[index] for index in order).encode()[: target - written]
            written += file.write(block)


def peak_memory() -> float:
    """Largest resident memory of this process so far, in MB (VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1000
    return float("nan")


def walk(batches: LaneBatches, seconds: float, share: float) -> tuple[int, float]:
    """Go through batches as training does; tokens seen, and tokens per second."""
    start, tokens = time.perf_counter(), 0
    limit = int(len(batches) * share)
    for number, batch in enumerate(batches.iterate(1), 1):
        tokens += batch.count
        if number >= limit or time.perf_counter() - start > seconds:
            break
    return tokens, tokens / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=2000, help="size of the file")
    parser.add_argument("--kind", default="characters", choices=["characters", "bytes", "words"])
    parser.add_argument("--seconds", type=float, default=20, help="longest walk over batches")
    parser.add_argument("--share", type=float, default=1.0, help="of an epoch that is walked")
    parser.add_argument("--folder", type=Path, default=None, help="for the file and the tokens")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="textgen-large-", dir=options.folder))
    figures: dict[str, float | str] = {"kind": options.kind, "megabytes": options.megabytes}
    try:
        path = folder / "corpus.txt"
        write_corpus(path, options.megabytes)
        figures["peak_mb_after_writing"] = peak_memory()
        train, _ = hold_out(open_text(path), 0.01)
        texts = (piece.text for piece in train.pieces())
        tokenizer = train_tokenizer(TokenizerConfig(kind=options.kind), texts)
        start = time.perf_counter()
        stream = tokenise_stream(train, tokenizer, cache=folder / "tokens")
        spent = time.perf_counter() - start
        figures["tokens"] = len(stream)
        figures["encoded_mb_per_second"] = stream.statistics.bytes / 1e6 / spent
        figures["peak_mb_after_encoding"] = peak_memory()
        batches = LaneBatches(stream, 64, 128, tokenizer.special, seed=0)
        seen, speed = walk(batches, options.seconds, options.share)
        figures["tokens_walked"], figures["tokens_per_second"] = seen, speed
        figures["peak_mb"] = peak_memory()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
