"""What --init-from is worth: nats per character after so many seconds, with it and without.

    python -m benchmarks.fine_tuning [--model NAME] [--text FILE] [--seconds 30 60 120]
    python -m benchmarks.fine_tuning --pairs SOURCE TARGET --valid SOURCE TARGET [--seconds ...]

The first form goes on with a language model on 200,000 characters of another text, by default the
Python language reference. The second one trains a language model of the target side first, whose
time counts, and then a translator whose decoder begins with it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import textgen
from textgen.data.corpora import card
from textgen.data.documents import Part, TextSource
from textgen.evaluation.perplexity import perplexity

CHARACTERS = 200_000
Pair = tuple[Path, Path]

LANGUAGE_MODEL_SHARE = 0.25
"""Of a translator's time, for the language model that its decoder begins with."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and print a row for each number of seconds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="shakespeare", help="a language model to go on with")
    parser.add_argument("--text", type=Path, help="a file; default: the Python reference")
    parser.add_argument("--pairs", nargs=2, type=Path, help="sentence pairs: a translator instead")
    parser.add_argument("--valid", nargs=2, type=Path, help="pairs to judge by")
    parser.add_argument("--seconds", nargs="+", type=float, default=[30, 60, 120])
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        for seconds in chosen.seconds:
            out = Path(folder) / f"{seconds:g}"
            if chosen.pairs:
                _translator(out, tuple(chosen.pairs), tuple(chosen.valid), seconds)
            else:
                _language_model(out, _text(chosen.text), chosen.model, seconds)


def _text(path: Path | None) -> TextSource:
    """The first characters of a text."""
    source = card("python-reference").open().train if path is None else textgen.open_text(path)
    return Part(source, 0, CHARACTERS, f"{source.name} (first {CHARACTERS:,} characters)")


def _settings(seconds: float, **more: object) -> Mapping[str, object]:
    bounds = {"training.minutes": seconds / 60, "training.steps": None, "training.epochs": None}
    return {**bounds, "training.validate_every": 100, **more}


def _language_model(out: Path, text: TextSource, model: str, seconds: float) -> None:
    """Nats per character of the held-out tenth, begun with a model and anew."""
    found = []
    for name, init_from in (("anew", ()), (f"from {model}", model)):
        trained = textgen.train(
            "char-small",
            text,
            out=out / name,
            init_from=init_from,
            settings=_settings(seconds),
            progress=False,
        )
        figures = perplexity(trained, text, held_out=True)
        found.append(f"{name} {figures.nats_per_character:.3f}")
    print(f"{seconds:4.0f} s: {', '.join(found)} nats per character")


def _translator(out: Path, pairs: Pair, valid: Pair, seconds: float) -> None:
    """Nats per target character: two trainings of the same time and sizes."""
    share = LANGUAGE_MODEL_SHARE
    lines = {"data.unit": "lines", "training.batch": 1024, "model.layers": 1}
    textgen.train(
        "subword-small",
        pairs[1],
        out=out / "lm",
        settings=_settings(share * seconds, **lines),
        progress=False,
    )
    begun = textgen.train(
        "translator-small",
        pairs,
        valid=valid,
        out=out / "begun",
        init_from=f"decoder={out / 'lm'}",
        settings=_settings((1 - share) * seconds),
        progress=False,
    )
    anew = textgen.train(
        begun.recipe,
        pairs,
        valid=valid,
        out=out / "anew",
        settings=_settings(seconds),
        progress=False,
    )
    losses = [_per_character(model, valid[1]) for model in (anew, begun)]
    print(
        f"{seconds:4.0f} s: anew {losses[0]:.3f}, decoder from a language model {losses[1]:.3f} "
        "nats per character"
    )


def _per_character(model: textgen.LoadedTranslator, target: Path) -> float:
    """A model's best validation loss per character of the target: tokenizers may differ."""
    lines = target.read_text(encoding="utf-8").splitlines()
    tokens = sum(len(model.tokenizer.encode(line)) + 1 for line in lines)
    loss = model.history.metrics["loss"] if model.history else float("nan")
    return loss * tokens / sum(len(line) + 1 for line in lines)


if __name__ == "__main__":
    main()
