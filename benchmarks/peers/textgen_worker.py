"""textgen as a worker, through its public functions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import textgen
from benchmarks.peers.protocol import Channel, Meter, serve, serve_decoding
from textgen.loading import load_model
from textgen.models.translator import Translator
from textgen.training.events import Event, Step
from textgen.translation.grouping import SourceLine
from textgen.translation.lines import translate_windows

ENDLESS = 10_000_000


def settings(work: dict[str, Any]) -> list[str]:
    """What differs from the recipe: sizes as the peers', and for timings one plain rate."""
    found = [
        "tokenizer.kind=bpe",
        f"tokenizer.model={Path(work['data']) / 'tokenizer.model'}",
        f"model.hidden={work['hidden']}",
        f"model.embedding={work['embedding']}",
        f"model.dropout={work['dropout']}",
        "model.tied=none",
        f"training.batch={work['batch_tokens']}",
        f"training.label_smoothing={work['label_smoothing']}",
        "training.validate_every=0",
        "training.log_every=5",
        f"training.save_every={ENDLESS}",
        *work["settings"],
    ]
    if work["minutes"]:  # a model that is to be used: the recipe's own schedule and average
        return [*found, f"training.minutes={work['minutes']}"]
    return [
        *found,
        f"training.precision={work['precision']}",
        "training.schedule=constant",
        "training.ema_decay=0",
        f"training.learning_rate={work['learning_rate']}",
        f"training.steps={ENDLESS}",
        f"training.minutes={ENDLESS}",
    ]


def train(work: dict[str, Any], channel: Channel) -> None:
    """Train as ``textgen train translator`` does; the events are where it can stand still."""
    sides = [Path(path) for path in work["train"]], [Path(path) for path in work["valid"]]
    pairs, valid = (textgen.PairFiles(*side) for side in sides)
    recipe = textgen.load_translator_recipe(work["recipe"], settings(work))
    events = textgen.train_translator(recipe, pairs, valid, Path(work["model"]), overwrite=True)
    meter = Meter(channel, _parameters(recipe), lambda: _finish(events))
    step = tokens = 0
    for event in events:
        if isinstance(event, Step):
            learnt = event.tokens - tokens
            # sentences are not told: they are as many as these tokens have in the corpus
            meter.step(learnt, round(learnt / work["tokens_per_sentence"]), event.step - step)
            step, tokens = event.step, event.tokens
    meter.end()


def _parameters(recipe: textgen.TranslatorRecipe) -> int:
    size = textgen.train_tokenizer(recipe.tokenizer, []).size
    return sum(each.numel() for each in Translator(recipe.model, size, size).parameters())


def _finish(events: Iterator[Event]) -> None:
    """Let the training end by itself: it validates and saves."""
    for _ in events:
        pass


def decode(work: dict[str, Any], channel: Channel) -> None:
    """Answer with what ``textgen translate`` would, all lines in one window."""
    loaded = load_model(work["model"], "cpu", work["precision"])
    eos = loaded.tokenizer.special.eos
    plugins = textgen.default_registries()

    def translate(sources: list[Any], beam: int, batch: int) -> list[list[int]]:
        chain = textgen.resolve("greedy" if beam == 1 else f"beam:width={beam}", [], plugins)
        # as the command line does: so many batches at once; but one line at a time is just one
        workers = work["threads"] if batch > 1 else 1
        options = textgen.TranslationOptions(batch_tokens=batch, workers=workers)
        found = translate_windows(loaded, [[*map(SourceLine, sources)]], chain, options)
        outputs = [each.candidates[0].tokens for each in found]
        return [list(each[:-1] if each[-1:] == (eos,) else each) for each in outputs]

    serve_decoding(channel, translate)


if __name__ == "__main__":
    serve(train, decode)
