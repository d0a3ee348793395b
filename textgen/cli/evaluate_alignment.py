"""``textgen evaluate alignment``: word links by forced decoding, and how right they are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.attention_pictures import Pictures, picture_options
from textgen.cli.evaluation_pairs import FILE, EvaluationPairs, corpus_options, source_option
from textgen.cli.failures import complain
from textgen.cli.lazy import SeveralCommand, examples
from textgen.cli.many_cores import Cores, scoring_cores
from textgen.cli.options import Number, collected, grouped_option
from textgen.cli.output import json_option, print_json, print_table
from textgen.cli.threads import set_threads
from textgen.cli.translating import Models, models_option
from textgen.errors import DataError, UsageError
from textgen.progress import counting

if TYPE_CHECKING:
    from textgen.evaluation.alignment import AlignmentCounts, GoldAlignment
    from textgen.evaluation.forced_alignment import AlignedPair
    from textgen.loading import LoadedModel
    from textgen.translation.links import Links

METHODS = (
    "intersection",
    "union",
    "grow",
    "grow-diag",
    "grow-diag-final",
    "grow-diag-final-and",
)


@click.command(
    "alignment",
    cls=SeveralCommand,
    epilog=examples(
        "textgen evaluate alignment --model checkpoints/dates --corpus dates:target=iso-words",
        "textgen evaluate alignment --model checkpoints/dates --source dates.txt --target iso.txt",
        "textgen evaluate alignment --model checkpoints/dates --corpus dates --limit 9 "
        "--plot dates.png --lines 1,3-5",
        "textgen evaluate alignment --model checkpoints/dates --source dates.txt --target iso.txt "
        "--gold links.txt --json",
    ),
)
@models_option
@source_option
@grouped_option("--target", type=FILE, metavar="FILE", help="Their translations, line by line.")
@grouped_option(
    "--gold",
    type=FILE,
    metavar="FILE",
    help="Reference links: i-j sure, ipj possible, or the NAACL format.",
)
@grouped_option(
    "--gold-first",
    type=click.Choice(["0", "1"]),
    help="The number of the first word in --gold.  [default: 0; of the NAACL format 1]",
)
@corpus_options
@grouped_option(
    "--threshold",
    type=Number(0, 1),
    default=0.0,
    show_default=True,
    help="Minimum attention of a link, from 0 to 1.",
)
@grouped_option(
    "--link-all",
    is_flag=True,
    help="Link words too that look at the source's end more than at any source word.",
)
@grouped_option(
    "--unite",
    type=click.Choice(["links", "attention"]),
    default="links",
    show_default=True,
    help="Tokens to words: link words any of whose tokens are linked, or add their attention up "
    "and link each target word once.",
)
@grouped_option(
    "--symmetrise-with",
    "other",
    metavar="DIR|NAME",
    help="A model of the other direction, whose links are united with these.",
)
@grouped_option(
    "--method",
    type=click.Choice(METHODS),
    default="grow-diag-final-and",
    show_default=True,
    help="How they are united, as Moses does it.",
)
@click.option("--output", type=FILE, metavar="FILE", help="Write the links i-j to FILE.")
@picture_options
@scoring_cores
@json_option
def command(*, output: Path | None, as_json: bool) -> None:
    """Align the words of given translations by a translator's attention.

    Each translation is decoded by force, and each target token is linked to the source token that
    it attends to most. With --gold, or a corpus that knows its links, the alignment error rate
    is measured; else the links are written, one line for each pair.
    """
    from textgen.evaluation.alignment import score_alignments

    pictures = collected(Pictures)
    pictures.check()
    asked = collected(Asked)
    pairs, gold = asked.open()
    set_threads(collected(Cores).threads)
    loaded, aligned = _aligned(collected(Models), pairs)
    links = asked.links(aligned, pairs)
    counts = None if gold is None else score_alignments(links, gold)
    if output is not None:
        _write(output, links)
    pictures.draw(loaded, aligned, gold)
    cut = sum(pair.cut for pair in aligned)
    if cut:
        complain(f"Warning: {cut:,} of the pairs were cut: a side has too many tokens.")
    _report(links, counts, as_json=as_json, written=output is not None or pictures.plot is not None)


@dataclass(frozen=True)
class Asked:
    """What the kept options of this command say."""

    target: Path | None
    gold: Path | None
    gold_first: str | None
    threshold: float
    link_all: bool
    unite: Any
    other: str | None
    method: str
    device: str

    def open(self) -> tuple[list[tuple[str, str]], list[GoldAlignment] | None]:
        """The pairs, and their right links where they are known."""
        known = collected(EvaluationPairs)
        split = known.split_of_corpus()
        if split is None:
            return self._files(known)
        if self.target or self.gold:
            raise UsageError("--target and --gold go with --source: a corpus has its own.")
        linked = getattr(split, "linked", None)
        if linked is None:
            return list(itertools.islice(split.pairs(), known.limit)), None
        from textgen.evaluation.alignment import GoldAlignment
        from textgen.translation.links import make_links

        found = list(itertools.islice(linked(), known.limit))
        gold = [GoldAlignment(make_links(pair.links)) for pair in found]
        return [(pair.source, pair.target) for pair in found], gold

    def _files(
        self, known: EvaluationPairs
    ) -> tuple[list[tuple[str, str]], list[GoldAlignment] | None]:
        """The pairs of two files."""
        from textgen.data.whitespace import split_words
        from textgen.evaluation.alignment import check_range
        from textgen.evaluation.alignment_files import begins_at_1, read_alignments

        if self.target is None:
            raise UsageError("--source needs --target FILE: the translations.")
        sources = known.lines(Path(str(known.source)))
        targets = known.lines(self.target)
        if len(sources) != len(targets):
            raise DataError(
                f"{known.source} has {len(sources):,} lines, but {self.target} has "
                f"{len(targets):,}: line n of one must be the translation of line n of the other."
            )
        pairs = list(zip(sources, targets, strict=True))
        if self.gold is None:
            return pairs, None
        sentences = None if known.limit else len(pairs)
        first = None if self.gold_first is None else int(self.gold_first)
        gold = read_alignments(self.gold, first=first, sentences=sentences)[: len(pairs)]
        for number, (pair, links) in enumerate(zip(pairs, gold, strict=False), start=1):
            words = len(split_words(pair[0])), len(split_words(pair[1]))
            check_range(links.possible, *words, f"{self.gold}, sentence {number}")
        if self.gold_first is None and begins_at_1(gold):
            complain(
                f"Warning: {self.gold} links no first word of any sentence: if its words are "
                "counted from 1, say --gold-first 1."
            )
        return pairs, gold

    def links(
        self, aligned: Sequence[AlignedPair], pairs: Sequence[tuple[str, str]]
    ) -> list[Links]:
        """The links of each pair, symmetrised if a second model is named."""
        from textgen.evaluation.symmetrisation import symmetrise
        from textgen.translation.links import reverse

        forward = [self._links(pair) for pair in aligned]
        if self.other is None:
            return forward
        swapped = [(target, source) for source, target in pairs]
        models = Models((self.other,), "probabilities", self.device, "float32")
        _, other = _aligned(models, swapped)
        return [
            symmetrise(links, reverse(self._links(pair)), self.method)
            for links, pair in zip(forward, other, strict=True)
        ]

    def _links(self, pair: AlignedPair) -> Links:
        return pair.links(self.unite, threshold=self.threshold, eos=not self.link_all)


def _aligned(
    models: Models, pairs: Sequence[tuple[str, str]]
) -> tuple[LoadedModel, list[AlignedPair]]:
    """The model, and the attention of all pairs."""
    from textgen.evaluation.forced_alignment import align

    found: list[AlignedPair] = []
    with collected(Cores).aligners(models) as pool, counting("pairs") as progress:
        loaded = models.load()
        for pair in align(loaded, pairs, pool=pool):
            found.append(pair)
            progress(len(found), len(pairs))
    return loaded, found


def _write(path: Path, links: Sequence[Links]) -> None:
    from textgen.evaluation.alignment import GoldAlignment
    from textgen.evaluation.alignment_files import write_alignments

    write_alignments(path, map(GoldAlignment, links))


def _report(
    links: Sequence[Links], counts: AlignmentCounts | None, *, as_json: bool, written: bool
) -> None:
    """The error rate, or the links themselves where there is nothing to measure by."""
    from textgen.evaluation.alignment_files import format_pharaoh

    total = sum(map(len, links))
    if as_json:
        figures = {} if counts is None else counts.as_dict()
        print_json({"pairs": len(links), "links": total, **figures})
    elif counts is not None:
        print_table(
            [
                ("pairs", f"{len(links):,}"),
                ("links", f"{counts.found:,} ({counts.sure:,} sure ones in the gold)"),
                ("AER", f"{counts.aer:.4f}"),
                ("precision", f"{counts.precision:.4f}"),
                ("recall", f"{counts.recall:.4f}"),
            ]
        )
    elif written:
        click.echo(f"{len(links):,} pairs, {total:,} links")
    else:
        for each in links:
            click.echo(format_pharaoh(each))
