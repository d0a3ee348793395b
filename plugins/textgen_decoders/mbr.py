"""Minimum Bayes risk decoding."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from textgen.protocols import Hypotheses, Session, SpecialTokens, Tokenizer
from textgen_decoders.beam import BeamSearch
from textgen_decoders.candidates import first_places, outputs, ranked, text_of
from textgen_decoders.overlap import bleu_pairs, chrf_pairs
from textgen_decoders.sample import Sample

_PAIRS = {"chrf": chrf_pairs, "bleu": bleu_pairs}
_AGREED = 100.0


@dataclass(frozen=True)
class MBR:
    """What agrees best with all that the model might say: argmax_h 1/n · Σ_r u(h, r).

    The references r are n samples, drawn with the filters of the chain; a text that was drawn
    twice counts twice. The candidates h are the different texts among them, or the hypotheses of
    a beam. The utility u is chrF or smoothed sentence BLEU (sacreBLEU's), of the texts without
    prompt; two empty texts agree: 100. Scores are the expected utility, 0 to 100; of equally good
    texts the likeliest comes first.
    Kumar & Byrne 2004, "Minimum Bayes-risk decoding for statistical machine translation";
    Eikema & Aziz 2020, "Is MAP decoding all you need? The inadequacy of the mode in neural machine
    translation".

    Example: --decode mbr:n=32,utility=chrf --filter epsilon:0.02
    """

    n: Annotated[int, Ge(2), "samples that stand for the model's opinion"] = 32
    utility: Annotated[Literal["chrf", "bleu"], "how the agreement of two texts is measured"] = (
        "chrf"
    )
    candidates: Annotated[
        Literal["sample", "beam"], "where the result is chosen from: the samples, or a beam"
    ] = "sample"
    width: Annotated[int, Ge(2), "hypotheses of the beam, with candidates=beam"] = 5
    n_best: Annotated[int | None, Ge(1), "hypotheses returned; none: as many as samples"] = None

    def setup_tokenizer(self, tokenizer: Tokenizer) -> BoundMBR:
        """Learn to read the tokens."""
        return BoundMBR(self, tokenizer)

    def __call__(self, session: Session) -> Hypotheses:
        """Decode where no tokenizer is known: each token counts as a character and a word."""
        return BoundMBR(self, None)(session)


@dataclass(frozen=True)
class BoundMBR:
    """``MBR`` for one vocabulary."""

    options: MBR
    tokenizer: Tokenizer | None

    @property
    def n_best(self) -> int | None:
        """Hypotheses returned; None: as many as samples."""
        return self.options.n_best

    def __call__(self, session: Session) -> Hypotheses:
        """Decode; (B, n_best) hypotheses, at most as many as there are candidates."""
        options = self.options
        beam = options.candidates == "beam"
        session = replace(session, on_stable_prefix=None)  # neither search has the last word
        drawing = replace(session, samples=options.n, attention=session.attention and not beam)
        references = Sample()(drawing)
        candidates = references
        if beam:
            candidates = BeamSearch(options.width, n_best=options.width)(session)
        wanted = session.samples if options.n_best is None else options.n_best
        scores = self.scores(candidates, references, session.special)
        return ranked(candidates, scores, wanted, session.special)

    def scores(
        self, candidates: Hypotheses, references: Hypotheses, special: SpecialTokens
    ) -> Tensor:
        """(B, K) float32, each candidate's expected utility; −inf for one that came before."""
        pairs = zip(self.texts(candidates, special), self.texts(references, special), strict=True)
        scores = torch.full(candidates.scores.shape, -torch.inf)
        for row, (ours, theirs) in enumerate(pairs):
            places = first_places(ours)
            values = self.expected(list(places), Counter(theirs))
            scores[row, list(places.values())] = torch.tensor(values, dtype=torch.float32)
        return scores.to(candidates.scores.device)

    def texts(self, hypotheses: Hypotheses, special: SpecialTokens) -> list[list[str]]:
        """The texts of each source's hypotheses, which come before those that are none."""
        return [
            [text_of(tokens, self.tokenizer, special) for tokens in rows]
            for rows in outputs(hypotheses)
        ]

    def expected(self, candidates: list[str], references: Counter[str]) -> list[float]:
        """The mean utility of each candidate over references with their numbers."""
        texts = list(first_places([*candidates, *references]))
        at = {text: place for place, text in enumerate(texts)}
        utility = _PAIRS[self.options.utility](texts)
        if "" in at:
            utility[at[""], at[""]] = _AGREED
        columns = [at[text] for text in references]
        weights = [count / references.total() for count in references.values()]
        mean = utility[: len(candidates)][:, columns] @ weights
        return [float(value) for value in mean]
