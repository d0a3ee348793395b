"""The same work with textgen, OpenNMT-py and JoeyNMT, in turn, in one run.

    benchmarks/peers/setup.sh
    python -m benchmarks.peers.compare --train-source train.en --train-target train.de \
        --valid-source val.en --valid-target val.de [--json]

See README.md here for what is measured, and how fair it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks.measure import machine, say
from benchmarks.peers.client import ROOT, WorkerError
from benchmarks.peers.report import Measured, as_data, digits, in_order, table
from benchmarks.peers.runs import (
    Bench,
    decodings,
    time_decoding,
    time_start,
    time_training,
    train_models,
)
from benchmarks.peers.systems import EIGHT_BITS, PEERS, VOCABULARY, System, ours
from benchmarks.peers.work import Pairs, prepare
from textgen.errors import TextgenError
from textgen.training.precision import has_bfloat16

NOTES = """
Medians over rounds in which the systems take turns; a ratio over 1 is better than the peer, whether
more or less of the figure is better. Tokens are subwords of one joint BPE, eos counted. "textgen"
is general attention without input feeding, as its recipe has it; "their architecture" is additive
attention with input feeding, as the peers have. The peers multiply in float32 through MKL, which
may take a slow path on processors that are not Intel's: up to twice of a lead comes from there.
Sentences a second mean little where BLEU is low or translations differ in length: see tokens then.
"""

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.option("--train-source", type=FILE, required=True)
@click.option("--train-target", type=FILE, required=True)
@click.option("--valid-source", type=FILE, required=True, help="This is what is decoded.")
@click.option("--valid-target", type=FILE, required=True)
@click.option(
    "--environment",
    type=click.Path(path_type=Path),
    default=ROOT / ".peers",
    help="What setup.sh has made.  [default: .peers]",
)
@click.option(
    "--peer-models",
    "models",
    type=click.Path(path_type=Path),
    default=ROOT / ".peers" / "models",
    help="Prepared texts and trained models, kept there.  [default: .peers/models]",
)
@click.option(
    "--train-seconds",
    default=60.0,
    show_default=True,
    help="Training of each model that is not there yet; more makes decoding realistic.",
)
@click.option("--threads", default=2, show_default=True, help="Of each system.")
@click.option("--rounds", default=3, show_default=True, help="Turns of each system in training.")
@click.option("--seconds", default=10.0, show_default=True, help="A turn of training.")
@click.option("--warm-up", default=8.0, show_default=True, help="Seconds of training before.")
@click.option("--decoding-rounds", default=2, show_default=True)
@click.option("--sentences", default=1000, show_default=True, help="Decoded in batches.")
@click.option("--single", default=100, show_default=True, help="Decoded one at a time.")
@click.option("--without", type=click.Choice([peer.model for peer in PEERS]), multiple=True)
@click.option(
    "--part",
    "parts",
    type=click.Choice(["training", "decoding", "start"]),
    multiple=True,
    help="Only this; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(
    train_source: Path,
    train_target: Path,
    valid_source: Path,
    valid_target: Path,
    environment: Path,
    models: Path,
    train_seconds: float,
    threads: int,
    rounds: int,
    seconds: float,
    warm_up: float,
    decoding_rounds: int,
    sentences: int,
    single: int,
    without: tuple[str, ...],
    parts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Train and decode with textgen and with its peers, in turn, and compare."""
    peers = [peer for peer in PEERS if peer.model not in without]
    _require(environment, peers)
    torch.set_num_threads(threads)
    found: list[Measured] = []
    try:
        data = prepare(
            models / "data",
            Pairs(train_source, train_target),
            Pairs(valid_source, valid_target),
            VOCABULARY,
        )
        systems = [*peers, *ours(bfloat16=has_bfloat16(torch.device("cpu")))]
        bench = Bench(systems, environment, models, data, threads)
        if not parts or "training" in parts:
            found += time_training(bench, rounds, seconds, warm_up)
        if not parts or "decoding" in parts:
            train_models(bench, train_seconds)
            decoding = replace(bench, systems=[*systems, EIGHT_BITS])
            found += time_decoding(decoding, decoding_rounds, decodings(sentences, single))
        if not parts or "start" in parts:
            found += time_start(bench, rounds)
    except (WorkerError, TextgenError) as error:
        raise click.ClickException(str(error)) from None
    _show(bench, in_order(found), [peer.name for peer in peers], as_json=as_json)


def _require(environment: Path, peers: Sequence[System]) -> None:
    for peer in peers:
        if not peer.python(environment).is_file():
            raise click.ClickException(
                f"{environment}: there is no environment with {peer.name}: "
                "run benchmarks/peers/setup.sh, or name another by --environment."
            )


def _show(
    bench: Bench, figures: Sequence[Measured], peers: Sequence[str], *, as_json: bool
) -> None:
    if as_json:
        facts = {name: asdict(fact) for name, fact in bench.facts.items()}
        result: dict[str, Any] = {"figures": as_data(figures, peers), "systems": facts}
        click.echo(json.dumps({"machine": machine()._asdict(), **result}))
        return
    click.echo(table(figures, peers))
    click.echo()
    click.echo(
        "| system | parameters | a batch of training | BLEU, beam 5 | tokens a translation |"
    )
    click.echo("|---|---|---|---|---|")
    for name, fact in bench.facts.items():
        batch = size = quality = "–"
        if fact.parameters:  # it was trained in this run
            size = f"{fact.parameters / 1e6:.2f} M"
            batch = f"{digits(fact.batch_sentences)} sentences, {digits(fact.batch_tokens)} tokens"
        if fact.output_tokens:  # it translated
            quality = f"{fact.bleu:.1f}"
        tokens = digits(fact.output_tokens) if fact.output_tokens else "–"
        click.echo(f"| {name} | {size} | {batch} | {quality} | {tokens} |")
    say(NOTES + machine().line())


if __name__ == "__main__":
    main()
