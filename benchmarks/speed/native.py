"""What the compiled kernels give: the same work with them and without, timed in turn."""

from __future__ import annotations

import functools
from collections.abc import Callable

from benchmarks.measure import Row, Work, interleaved, say
from benchmarks.speed import decoding, stream
from benchmarks.speed.settings import Part, Settings, precisions
from benchmarks.speed.synthetic import character_tokenizer, save_language_model
from textgen.decoding.chain import default_registries, resolve
from textgen.loading import LoadedModel, load_model
from textgen.native import kernels, without
from textgen.recipes import load_recipe

WITHOUT = "the same without them"


def measure(settings: Settings) -> Part:
    """Translations one at a time and in batches, and one stream, in all types of numbers."""
    found = kernels()
    if found is None:
        return Part("Native kernels", [], ["None were compiled here."])
    rows = [*_translating(settings), *_writing(settings)]
    note = f"Compiled for {found.kind}; both are timed in turn, and the ceiling is Python's speed."
    return Part("Native kernels", rows, [note])


def _translating(settings: Settings) -> list[Row]:
    folder = settings.model or decoding.trained(settings)
    lines = decoding.some_lines(settings)
    batch = decoding.together(lines, load_model(folder, "cpu").require_source().encode)
    rows = []
    for name, decode, options, count in (
        ("greedy, one at a time", "greedy", decoding.ALONE, settings.pick(48, 2)),
        ("beam of 5, one at a time", "beam:width=5", decoding.ALONE, settings.pick(32, 2)),
        (f"beam of 5, {decoding.BATCH} at once", "beam:width=5", batch, settings.pick(192, 8)),
    ):
        chain = resolve(decode, [], default_registries())
        some = lines[:count]
        rows += _rows(
            name,
            folder,
            functools.partial(decoding.run, lines=some, chain=chain, options=options),
            (len(some), "sentences/s"),
            settings,
        )
    return rows


def _writing(settings: Settings) -> list[Row]:
    tokens = settings.pick(400, 20)
    folder = settings.folder / "native-stream"
    recipe = load_recipe("char-small", ["model.layers=2", "model.hidden=512"])
    save_language_model(folder, recipe, character_tokenizer())
    chain = resolve("sample", [], default_registries())
    write = functools.partial(stream.run, chain=chain, tokens=tokens)
    name = "characters, LSTM 2 × 512"
    return _rows(name, str(folder), write, (tokens, "tokens/s"), settings)


def _rows(
    name: str,
    folder: str,
    job: Callable[[LoadedModel], object],
    amount: tuple[int, str],
    settings: Settings,
) -> list[Row]:
    """One job in all types of numbers; ``amount`` of what, and its unit."""
    rows = []
    for precision in precisions("float32", "bfloat16", "int8"):
        native = load_model(folder, "cpu", precision=precision)
        with without():
            plain = load_model(folder, "cpu", precision=precision)
        works: dict[str, Work] = {
            "native": functools.partial(job, native),
            "plain": functools.partial(_without, job, plain),
        }
        spent = interleaved(works, rounds=settings.pick(5, 1), least=0.05)
        many, unit = amount
        ours, others = many / spent["native"], many / spent["plain"]
        say(f"  {name}, {precision}: {ours:,.1f} {unit}, without {others:,.1f}")
        rows.append(Row(f"{name}, {precision}", ours, unit, others, WITHOUT))
    return rows


def _without(job: Callable[[LoadedModel], object], loaded: LoadedModel) -> None:
    with without():
        job(loaded)
