"""Shallow fusion of a language model into beam search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from textgen.decoding import follow_state, require_same_vocabulary
from textgen.errors import UsageError
from textgen.protocols import (
    AuxiliaryModel,
    Batch,
    Beam,
    Hypotheses,
    Load,
    Pick,
    Session,
    Tokenizer,
)
from textgen_decoders.beam import (
    Alpha,
    BeamSearch,
    Coverage,
    Length,
    NBest,
    Patience,
    RunningBeam,
    Stop,
    Width,
)

_FLOOR = -1e9  # nats; what a language model thinks impossible is unwanted and not forbidden


@dataclass(frozen=True)
class ShallowFusion:
    """Beam search in which a language model of the target side has its say at every step.

    Tokens are chosen, and hypotheses ranked, by log P(Y | X) + λ · log P_LM(Y) in the place of
    log P(Y | X); penalties and stopping are those of beam search. λ = 0 is beam search; λ is not
    negative, or an end could not be told from the best that may still come. The language model
    reads bos and the forced beginning as the translator does, and ends its sentences with eos:
    train it on single sentences. The recorded log-probabilities stay those of the model that
    decodes; what ranks is in the scores.
    Gülçehre et al. 2015, "On using monolingual corpora in neural machine translation".

    Example: --decode shallow-fusion:lm=checkpoints/lm,weight=0.2,width=5
    """

    lm: Annotated[str, "folder or name of a language model of the same target vocabulary"]
    weight: Annotated[float, Ge(0), "weight λ of its log-probabilities"] = 0.2
    width: Width = 5
    length: Length = "average"
    alpha: Alpha = 1.0
    coverage: Coverage = 0.0
    n_best: NBest = None
    stop: Stop = "provable"
    patience: Patience = 1.0

    def setup_models(self, load: Load) -> FusedBeam:
        """Load the language model.

        Raises:
            UsageError: if it is none.
        """
        auxiliary = load(self.lm)
        if auxiliary.kind != "language-model":
            raise UsageError(
                f"shallow-fusion: {self.lm} is a {auxiliary.kind}, but a language model is needed. "
                "`textgen train lm` makes one."
            )
        return FusedBeam(
            width=self.width,
            length=self.length,
            alpha=self.alpha,
            coverage=self.coverage,
            n_best=self.n_best,
            stop=self.stop,
            patience=self.patience,
            lm=auxiliary,
            weight=self.weight,
        )

    def __call__(self, session: Session) -> Hypotheses:
        """Refuse: the language model is not there.

        Raises:
            UsageError: always; ``setup_models`` gives what decodes.
        """
        del session
        raise UsageError(
            f"shallow-fusion: the language model {self.lm} is not loaded; give the chain a way to "
            "load models, as in chain.setup(tokenizer, load_model)."
        )


@dataclass(frozen=True, kw_only=True)
class FusedBeam(BeamSearch):
    """``ShallowFusion`` with its language model."""

    lm: AuxiliaryModel
    weight: float = 0.2

    def setup_tokenizer(self, tokenizer: Tokenizer) -> FusedBeam:
        """See that the language model speaks the same tokens."""
        require_same_vocabulary(self.lm, tokenizer, "shallow-fusion")
        return self

    def running(self, session: Session) -> RunningBeam:
        """What picks and keeps the hypotheses of one search."""
        return _RunningFusion(self, session)


class _RunningFusion(RunningBeam):
    """A beam search with the state of a language model beside that of the session's model."""

    def __init__(self, options: FusedBeam, session: Session) -> None:
        super().__init__(options, session)
        self.model, self.weight, self.session = options.lm.model, options.weight, session
        self.state: Any = None
        self.sources = torch.arange(len(session.limit), device=session.limit.device)
        self.shares = torch.zeros(len(session.limit), 1, device=session.limit.device)  # (B, K)

    def sums(self, beam: Beam) -> Tensor:
        """(B, K) of both models."""
        return beam.scores + self.shares

    def pick(self, log_probs: Tensor, beam: Beam) -> Pick:
        """Rows that go on, then rows that end, by the sum of both models."""
        features = self._begin(beam.width) if self.state is None else self._read(beam)
        scores = torch.log_softmax(self.model.output(features), -1, dtype=torch.float32)
        scores = self.weight * scores.clamp(min=_FLOOR)  # (B, K, V)
        parents, tokens = super().pick(log_probs + scores, beam)
        totals = (self.shares.unsqueeze(2) + scores).flatten(1)
        rows = torch.zeros_like(tokens) if parents is None else parents
        self.shares = totals.gather(1, rows * scores.shape[2] + tokens)
        return Pick(parents, tokens)

    def _begin(self, width: int) -> Tensor:
        """Read the prefixes: features (B, K, F) at their ends."""
        prefix, lengths = self.session.prefix, self.session.prefix_lengths
        features, state = self.model.features(prefix, self.model.begin(Batch(len(prefix))), lengths)
        self.state = state.select(lengths.new_zeros(len(prefix), width))
        self.shares = self.shares.expand(-1, width)
        return features[self.sources, lengths - 1].unsqueeze(1).expand(-1, width, -1)

    def _read(self, beam: Beam) -> Tensor:
        """Read the newest tokens: features (B, K, F) after them."""
        self.state = follow_state(self.state, self.sources, beam)
        stay = torch.searchsorted(self.sources, beam.sources)
        self.shares = self.shares[:, : beam.width].index_select(0, stay)
        self.sources = beam.sources
        newest = beam.tokens[:, :, -1]
        features, self.state = self.model.features(newest.reshape(-1, 1), self.state)
        return features.reshape(*newest.shape, -1)
