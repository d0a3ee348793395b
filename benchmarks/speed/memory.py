"""Peak memory: training with a small and a large corpus, and decoding."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from benchmarks.large_corpus import write_corpus
from benchmarks.measure import Row, run, say
from benchmarks.speed.settings import Part, Settings
from benchmarks.speed.startup import MODEL, textgen
from benchmarks.speed.synthetic import save_translator, sentences, word_tokenizer
from textgen.recipes import load_translator_recipe

WORDS = 8000
MEGA = 1e6


def measure(settings: Settings) -> Part:
    """Largest resident memory of whole commands, a bare ``import torch`` beside them."""
    bare = run([sys.executable, "-c", "import torch"]).peak / MEGA
    rows: list[Row] = []
    small, large = settings.pick(10, 1), settings.pick(400, 4)
    peaks = {size: training(settings.folder, size) / MEGA for size in (small, large)}
    for size, peak in peaks.items():
        what, against = "`import torch`", bare
        if size == large:
            what, against = f"the corpus of {small} MB", peaks[small]
        say(f"  training on {size} MB: {peak:,.0f} MB")
        rows.append(_row(f"train lm, {size} MB of text", peak, against, what))
    for precision in ("float32", "bfloat16"):
        peak = translating(settings, precision) / MEGA
        say(f"  translating in {precision}: {peak:,.0f} MB")
        rows.append(_row(f"translate, beam of 5, {precision}", peak, bare, "`import torch`"))
    writes = [*textgen(), "generate", "--model", MODEL, "--prompt", "R", "--max-tokens", "500"]
    rows.append(_row("generate, 500 characters", run(writes).peak / MEGA, bare, "`import torch`"))
    return Part("Peak memory", rows)


def _row(name: str, peak: float, ceiling: float, what: str) -> Row:
    return Row(name, peak, "MB", ceiling, what, less_is_better=True)


def training(folder: Path, megabytes: int) -> int:
    """Bytes at the peak of a short training of characters, the tokenising included."""
    path, out = folder / f"{megabytes}.txt", folder / f"trained-{megabytes}"
    write_corpus(path, megabytes)
    steps = ["training.steps=20", "data.valid_share=0.001", "training.validate_every=0"]
    command = ["train", "lm", "--train", str(path), "--recipe", "char-small", "--set", *steps]
    cache = folder / "cache"  # not the user's
    peak = run([*textgen(), *command, "--out", str(out)], TEXTGEN_CACHE=str(cache)).peak
    shutil.rmtree(cache, ignore_errors=True)
    path.unlink()
    return peak


def translating(settings: Settings, precision: str) -> int:
    """Bytes at the peak of a translation with the reference sizes and random weights."""
    folder = settings.folder / "random-translator"
    if not folder.exists():
        recipe = load_translator_recipe("translator-small", ["model.tied=none"])
        save_translator(folder, recipe, word_tokenizer(WORDS))
    lines = "\n".join(sentences(settings.pick(256, 16), WORDS - 5))
    command = ["translate", "--model", str(folder), "--max-length", "1x+2"]
    command += ["--precision", precision, "--decode", "beam:width=5"]
    return run([*textgen(), *command], stdin=lines + "\n").peak
