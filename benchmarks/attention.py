"""Score functions, h_t against h_{t-1}, input feeding: BLEU, size and speed in one table.

    python benchmarks/attention.py --train A B --valid C D --epochs 3 [--json FILE]

Every variant is the recipe with one thing changed, trained for the same number of epochs from the
same seed; BLEU is of beam search on the validation pairs, tokens are target tokens, eos counted.
With --lengths PICTURE, BLEU by source length of the recipe and of the same model without
attention is printed and drawn.
"""

from __future__ import annotations

import itertools
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from textgen.data.parallel import Pair, PairFiles
from textgen.decoding.chain import default_registries, resolve
from textgen.evaluation.translation_metrics import MetricOptions, score_translation
from textgen.loading import LoadedModel, load_model
from textgen.recipes import TranslatorRecipe, load_translator_recipe
from textgen.tasks.translator import train_translator
from textgen.training.events import Step
from textgen.translation import translate

VARIANTS: dict[str, list[str]] = {
    "dot, h_t": ["model.attention=dot"],
    "scaled-dot, h_t": ["model.attention=scaled-dot"],
    "general, h_t": ["model.attention=general"],
    "additive, h_t": ["model.attention=additive"],
    "dot, h_t-1": ["model.attention=dot", "model.query=previous"],
    "scaled-dot, h_t-1": ["model.attention=scaled-dot", "model.query=previous"],
    "general, h_t-1": ["model.attention=general", "model.query=previous"],
    "additive, h_t-1": ["model.attention=additive", "model.query=previous"],
    "general, h_t, input feeding": ["model.attention=general", "model.input_feeding=true"],
    "additive, h_t-1, input feeding": [
        "model.attention=additive",
        "model.query=previous",
        "model.input_feeding=true",
    ],
    "none": ["model.attention=none"],
}
WITH, WITHOUT = "general, h_t", "none"
BORDERS = (8, 12, 16, 20)


class Result(NamedTuple):
    """What a variant came to."""

    name: str
    bleu: float
    parameters: int
    tokens_per_second: float
    translations: list[str]


@click.command()
@click.option("--train", nargs=2, type=click.Path(path_type=Path), required=True)
@click.option("--valid", nargs=2, type=click.Path(path_type=Path), required=True)
@click.option("--recipe", default="translator-small", show_default=True)
@click.option("--epochs", default=3.0, show_default=True)
@click.option("--only", multiple=True, type=click.Choice(list(VARIANTS)), help="Repeatable.")
@click.option("--decode", default="beam:width=5", show_default=True)
@click.option("--lengths", type=click.Path(path_type=Path), help="Picture of BLEU by length.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the figures there.")
def main(
    train: tuple[Path, Path],
    valid: tuple[Path, Path],
    recipe: str,
    epochs: float,
    only: tuple[str, ...],
    decode: str,
    lengths: Path | None,
    path: Path | None,
) -> None:
    """Train all variants one after the other."""
    names = list(only) or ([WITH, WITHOUT] if lengths else list(VARIANTS))
    pairs = list(PairFiles(*valid).pairs())
    results = []
    click.echo(f"{'attention':32} {'BLEU':>6} {'parameters':>11} {'tokens/s':>9}")
    for name in names:
        settings = [*VARIANTS[name], f"training.epochs={epochs}"]
        made = load_translator_recipe(recipe, settings)
        texts, loaded, speed = _run(made, train, valid, pairs, decode)
        bleu = _bleu(texts, [pair.target for pair in pairs])
        parameters = sum(each.numel() for each in loaded.model.parameters())
        found = Result(name, bleu, parameters, speed, texts)
        results.append(found)
        click.echo(f"{name:32} {bleu:>6.2f} {parameters:>11,} {speed:>9,.0f}")
    table = _by_length(results, pairs) if lengths else {}
    if lengths:
        _draw(table, lengths)
    if path:
        figures = [each._replace(translations=[])._asdict() for each in results]
        path.write_text(json.dumps({"variants": figures, "by_length": table}, indent=2))


def _run(
    recipe: TranslatorRecipe,
    train: tuple[Path, Path],
    valid: tuple[Path, Path],
    pairs: Sequence[Pair],
    decode: str,
) -> tuple[list[str], LoadedModel, float]:
    """The translations of the validation pairs, the model, and its tokens/s in training."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model"
        events = train_translator(recipe, PairFiles(*train), PairFiles(*valid), out)
        speeds = [event.tokens_per_second for event in events if isinstance(event, Step)]
        loaded = load_model(str(out))
        chain = resolve(decode, [], default_registries())
        texts = [each.text for each in translate(loaded, [pair.source for pair in pairs], chain)]
    return texts, loaded, statistics.median(speeds)


def _bleu(texts: Sequence[str], references: Sequence[str]) -> float:
    scores = score_translation(texts, [references], MetricOptions(metrics=("bleu",)))
    return float(scores.scores["bleu"].score)


def _by_length(results: Sequence[Result], pairs: Sequence[Pair]) -> dict[str, Any]:
    """BLEU of each variant on the pairs of each range of source lengths, in words."""
    counts = [len(pair.source.split()) for pair in pairs]
    edges = [0, *BORDERS, 10_000]
    labels = [f"{low + 1}-{high}" for low, high in itertools.pairwise(edges[:-1])]
    labels.append(f"{BORDERS[-1] + 1}+")
    groups = [
        [at for at, count in enumerate(counts) if low < count <= high]
        for low, high in itertools.pairwise(edges)
    ]
    table: dict[str, Any] = {"words": labels, "pairs": [len(group) for group in groups]}
    for result in results:
        table[result.name] = [
            _bleu([result.translations[at] for at in group], [pairs[at].target for at in group])
            for group in groups
        ]
    click.echo("\n" + f"{'source words':32} " + " ".join(f"{label:>7}" for label in labels))
    for name, row in table.items():
        if name != "words":
            cells = (
                f"{value:>7.2f}" if isinstance(value, float) else f"{value:>7}" for value in row
            )
            click.echo(f"{name:32} " + " ".join(cells))
    return table


def _draw(table: dict[str, Any], path: Path) -> None:
    """One line for each variant."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, row in table.items():
        if name not in {"words", "pairs"}:
            axes.plot(table["words"], row, marker="o", label=name)
    axes.set(
        xlabel="source words", ylabel="BLEU", title="BLEU by length of the source", ylim=(0, None)
    )
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
