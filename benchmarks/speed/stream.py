"""One stream of text: tokens a second, against bare products of matrix and vector."""

from __future__ import annotations

import functools
from pathlib import Path

from benchmarks.measure import Row, Work, bare_products, interleaved, say
from benchmarks.speed import work
from benchmarks.speed.settings import NUMBERS, Part, Settings, precisions
from benchmarks.speed.synthetic import character_tokenizer, save_language_model, word_tokenizer
from textgen.data.tokenizers import TextTokenizer
from textgen.decoding.chain import Chain, default_registries, resolve
from textgen.errors import UsageError
from textgen.inference import Request, generate
from textgen.loading import LoadedModel, load_model
from textgen.recipes import load_recipe

LOOKED_UP = "The first layer's input is no product here: a table holds it for each token."


def models() -> dict[str, tuple[TextTokenizer, list[str]]]:
    """Tokenizer and settings of the models, by their names in the table."""
    characters, words = character_tokenizer(), word_tokenizer(10_000)
    small, large, wide = (
        ["model.layers=2", f"model.hidden={hidden}"] for hidden in (256, 512, 650)
    )
    return {
        "characters, LSTM 2 × 256": (characters, small),
        "characters, LSTM 2 × 512": (characters, large),
        "10,000 words, LSTM 2 × 650": (words, [*wide, "model.embedding=650"]),
    }


def measure(settings: Settings) -> Part:
    """Draw tokens one by one from models of seeded random weights that never end a text."""
    rows: list[Row] = []
    for number, (name, (tokenizer, changes)) in enumerate(models().items()):
        folder = settings.folder / f"stream-{number}"
        save_language_model(folder, load_recipe("char-small", changes), tokenizer)
        rows += _rows(name, folder, settings)
    return Part("One stream", rows, ["Sampling at temperature 1, one text, batch 1. " + LOOKED_UP])


def run(loaded: LoadedModel, chain: Chain, tokens: int) -> int:
    """Generate a text; how many tokens it has."""
    (found,) = generate(loaded, [Request("", max_tokens=tokens)], chain)
    return len(found.tokens)


def _rows(name: str, folder: Path, settings: Settings) -> list[Row]:
    """One model in all types of numbers, and its products, timed in turn."""
    chain = resolve("sample", [], default_registries())
    tokens = settings.pick(400, 20)
    works: dict[str, Work] = {}
    for precision in precisions("float32", "bfloat16", "int8"):
        try:
            loaded = load_model(str(folder), "cpu", precision=precision)
        except UsageError:
            continue  # not every version of textgen has all of them
        config, size = loaded.recipe.model, loaded.tokenizer.size
        works[precision] = functools.partial(run, loaded, chain, tokens)
        step = work.language_model(config, size, 1, looked_up=True)
        works[f"bare {precision}"] = bare_products(step, NUMBERS[precision])
    spent = interleaved(works, warmup=2, rounds=settings.pick(7, 2), least=0.1)
    rows = []
    for precision in (each for each in works if not each.startswith("bare ")):
        speed, allowed = tokens / spent[precision], 1 / spent[f"bare {precision}"]
        say(f"  {name}, {precision}: {speed:,.0f} tokens/s of {allowed:,.0f}")
        title, what = f"{name}, {precision}", "its products of matrix and vector"
        rows.append(Row(title, speed, "tokens/s", allowed, what))
    return rows
