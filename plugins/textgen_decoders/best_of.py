"""Candidates, reranked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from textgen.decoding import require_same_vocabulary
from textgen.errors import UsageError
from textgen.protocols import AuxiliaryModel, Hypotheses, Load, Session, Tokenizer
from textgen_decoders.beam import BeamSearch
from textgen_decoders.candidates import different, outputs, ranked, text_of
from textgen_decoders.reranking import (
    Task,
    known_texts,
    log_probs,
    second_opinion,
    source_texts,
    source_tokens,
)
from textgen_decoders.sample import Sample


@dataclass(frozen=True)
class BestOf:
    """The best of several finished hypotheses y, in the eyes of this model and of others.

    (log P(y | x) + w · log P₂(y | x) + λ₁ · log P(x | y) + λ₂ · log P(y)) / |Y|^α. The candidates
    are n samples, drawn with the filters of the chain (each different one once), or the n best of
    a beam of width n. P is the model that decodes, P₂ (model) one with the same vocabulary; the
    channel is a translator from the target's language to the source's, lm a language model of the
    target's text; these two may have tokens of any kind. |Y| counts the tokens of the model that
    decodes, eos included. Where a language model decodes, lm reads the prompt too. All of it:
    best-of:n=20,candidates=beam,channel=DIR,channel_weight=0.5,lm=DIR,lm_weight=0.3
    Yee, Dauphin & Auli 2019, "Simple and effective noisy channel modeling for neural machine
    translation".

    Example: --decode best-of:n=8 --filter temperature:0.9
    """

    n: Annotated[int, Ge(1), "candidates"] = 16
    candidates: Annotated[Literal["sample", "beam"], "where they come from"] = "sample"
    alpha: Annotated[float, Ge(0), "strength α of the length penalty; 0: none"] = 1.0
    model: Annotated[str | None, "a second model's folder or name; the same vocabulary"] = None
    weight: Annotated[float, "weight w of the second model"] = 1.0
    channel: Annotated[str | None, "a translator back into the source's language"] = None
    channel_weight: Annotated[float, "weight λ₁ of the channel"] = 1.0
    lm: Annotated[str | None, "a language model of what is written"] = None
    lm_weight: Annotated[float, "weight λ₂ of the language model"] = 1.0
    lm_eos: Annotated[bool, "the language model scores the end too: it knows single lines"] = True
    n_best: Annotated[int | None, Ge(1), "hypotheses returned; none: as many as samples"] = None

    def setup_models(self, load: Load) -> BestOf | BestOfWithModels:
        """Load the models that the options name."""
        names = (self.model, self.channel, self.lm)
        if not any(names):
            return self
        found = [None if name is None else load(name) for name in names]
        model, channel, lm = found
        return BestOfWithModels(self, model, channel, lm)

    def __call__(self, session: Session) -> Hypotheses:
        """Decode; (B, n_best) hypotheses, at most n."""
        if self.model or self.channel or self.lm:
            raise UsageError("best-of: the models that it names cannot be loaded here.")
        return self.rank(session, self.find(session))

    def find(self, session: Session) -> Hypotheses:
        """The candidates, (B, n), each different one once."""
        if self.candidates == "sample":
            return different(Sample()(replace(session, samples=self.n)), session.special)
        return BeamSearch(self.n, alpha=self.alpha, n_best=self.n)(session)

    def rank(self, session: Session, found: Hypotheses, others: Tensor | None = None) -> Hypotheses:
        """Candidates by their scores, with what others add: (B, n) float64, weighted."""
        total = found.log_probs.double() if others is None else found.log_probs + others
        total = total / found.lengths.clamp(min=1).double() ** self.alpha
        wanted = session.samples if self.n_best is None else self.n_best
        return ranked(found, total.float(), wanted, session.special)


@dataclass(frozen=True)
class BestOfWithModels:
    """``BestOf`` with the models that it names.

    Attributes:
        options: as asked for.
        model: the second model.
        channel: the translator back.
        lm: the language model.
        tokenizer: of the model that decodes.
    """

    options: BestOf
    model: AuxiliaryModel | None = None
    channel: AuxiliaryModel | None = None
    lm: AuxiliaryModel | None = None
    tokenizer: Tokenizer | None = field(default=None, repr=False)

    @property
    def n_best(self) -> int | None:
        """Hypotheses returned; None: as many as samples."""
        return self.options.n_best

    def setup_tokenizer(self, tokenizer: Tokenizer) -> BestOfWithModels:
        """Learn to read the tokens, and see that the models fit.

        Raises:
            UsageError: if the second model has another vocabulary, the channel is no translator
                or ``lm`` no language model.
        """
        if self.model is not None:
            require_same_vocabulary(self.model, tokenizer, "best-of")
        for option, auxiliary, kind in (
            ("channel", self.channel, "translator"),
            ("lm", self.lm, "language-model"),
        ):
            if auxiliary is not None and auxiliary.kind != kind:
                raise UsageError(
                    f"best-of: {option} must be a {kind}, but {auxiliary.name} is a "
                    f"{auxiliary.kind}."
                )
        return replace(self, tokenizer=tokenizer)

    def __call__(self, session: Session) -> Hypotheses:
        """Decode; (B, n_best) hypotheses, at most n."""
        found = self.options.find(session)
        others = torch.zeros_like(found.log_probs, dtype=torch.float64)
        if self.model is not None:
            others += self.options.weight * second_opinion(self.model, session, found)
        if self.channel is not None:
            others += self.options.channel_weight * self.back(self.channel, session, found)
        if self.lm is not None:
            others += self.options.lm_weight * self.fluency(self.lm, session, found)
        return self.options.rank(session, found, others)

    def back(self, channel: AuxiliaryModel, session: Session, found: Hypotheses) -> Tensor:
        """(B, n) float64, log P(source text | hypothesis' text)."""
        texts = source_texts(session, f"channel={channel.name}")
        reader, writer = channel.source_tokenizer, channel.tokenizer
        if reader is None:
            raise UsageError(f"best-of: channel must be a translator, not {channel.name}.")
        targets = [source_tokens(text, writer) for text in texts]

        def task(row: int, tokens: tuple[int, ...]) -> Task:
            source = source_tokens(text_of(tokens, self.tokenizer, session.special), reader)
            return Task([writer.special.bos], targets[row], source)

        return _scored(channel, found, [
            [task(row, tokens) for tokens in rows] for row, rows in enumerate(outputs(found))
        ])  # fmt: skip

    def fluency(self, model: AuxiliaryModel, session: Session, found: Hypotheses) -> Tensor:
        """(B, n) float64, log P(hypothesis' text), after the prompt if there is one."""
        batch, special = session.batch, model.tokenizer.special
        prompts = [""] * len(session.limit)
        if batch is not None and batch.source is None:
            prompts = list(known_texts(session, f"lm={model.name}"))
        prefixes = [[special.bos, *model.tokenizer.encode(text)] for text in prompts]

        def task(row: int, tokens: tuple[int, ...]) -> Task:
            ends = self.options.lm_eos and tokens[-1:] == (session.special.eos,)
            text = text_of(tokens, self.tokenizer, session.special)
            own = model.tokenizer.encode(text)
            return Task(prefixes[row], [*own, special.eos] if ends else own)

        return _scored(model, found, [
            [task(row, tokens) for tokens in rows] for row, rows in enumerate(outputs(found))
        ])  # fmt: skip


def _scored(auxiliary: AuxiliaryModel, found: Hypotheses, tasks: list[list[Task]]) -> Tensor:
    """(B, n) float64, log-probabilities of the tasks of each source's hypotheses."""
    flat = [task for rows in tasks for task in rows]
    values = iter(log_probs(auxiliary, flat))
    scores = torch.zeros(found.scores.shape, dtype=torch.float64)
    for row, rows in enumerate(tasks):
        scores[row, : len(rows)] = torch.tensor([next(values) for _ in rows], dtype=torch.float64)
    return scores.to(found.scores.device)
