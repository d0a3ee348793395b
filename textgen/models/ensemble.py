"""Several models as one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from textgen.errors import ConfigError
from textgen.models.shortlist import Shortlist
from textgen.protocols import Batch

Average = Literal["probabilities", "log-probabilities"]


@dataclass(frozen=True)
class EnsembleState:
    """The states of all members, for the same rows."""

    members: tuple[Any, ...]

    @property
    def attention(self) -> Tensor | None:
        """(N, T, S), the mean over the members that attend; None if none does."""
        weights = [each.attention for each in self.members if each.attention is not None]
        return torch.stack(weights).mean(0) if weights else None

    def select(self, parents: Tensor) -> Self:
        """Rows rearranged within each source, (B, K') int64."""
        return type(self)(tuple(member.select(parents) for member in self.members))

    def keep(self, sources: Tensor) -> Self:
        """Only the given sources, (B',) int64."""
        return type(self)(tuple(member.keep(sources) for member in self.members))

    def detach(self) -> Self:
        """The same values without their history."""
        return type(self)(tuple(member.detach() for member in self.members))


class Ensemble(nn.Module):
    """Models that share their vocabularies; its features are theirs side by side.

    Args:
        models: two or more (one is allowed).
        average: mean of probabilities, or of log-probabilities (renormalised).

    Raises:
        ConfigError: if there is no model or the vocabularies differ in size.
    """

    def __init__(self, models: Sequence[nn.Module], average: Average = "probabilities") -> None:
        super().__init__()
        sizes = {int(model.vocabulary_size) for model in models}  # type: ignore[arg-type]
        if len(sizes) != 1:
            raise ConfigError(
                [f"An ensemble needs models of one vocabulary, got sizes {sorted(sizes)}."]
            )
        self.models = nn.ModuleList(models)
        self.average = average
        self.vocabulary_size = sizes.pop()
        self._borders: list[int] = []

    def begin(self, batch: Batch) -> EnsembleState:
        """Every member's state before the first token."""
        return EnsembleState(tuple(model.begin(batch) for model in self._members()))

    def features(
        self, tokens: Tensor, state: EnsembleState, lengths: Tensor | None = None
    ) -> tuple[Tensor, EnsembleState]:
        """Read tokens (N, T) with every member; features (N, T, F₁ + F₂ + …)."""
        pairs = [
            model.features(tokens, member, lengths)
            for model, member in zip(self._members(), state.members, strict=True)
        ]
        widths = (features.shape[-1] for features, _ in pairs[:-1])
        self._borders = list(itertools.accumulate(widths))
        joined = torch.cat([features for features, _ in pairs], dim=-1)
        return joined, EnsembleState(tuple(member for _, member in pairs))

    def output(self, features: Tensor) -> Tensor:
        """(…, F) to normalised log-probabilities (…, V)."""
        parts = features.tensor_split(self._borders, dim=-1)
        log_probs = torch.stack(
            [
                torch.log_softmax(model.output(part).float(), dim=-1)
                for model, part in zip(self._members(), parts, strict=True)
            ]
        )
        if self.average == "probabilities":
            return torch.logsumexp(log_probs, dim=0) - math.log(len(self.models))
        return torch.log_softmax(log_probs.mean(0), dim=-1)

    def restricted(self, shortlist: Shortlist) -> Ensemble:
        """The ensemble of its members with the shortlist's tokens alone."""
        members = [member.restricted(shortlist) for member in self._members()]
        return Ensemble(members, self.average)

    def forward(self, tokens: Tensor, state: EnsembleState) -> tuple[Tensor, EnsembleState]:
        """Log-probabilities (N, T, V) after each token, and the new state."""
        features, state = self.features(tokens, state)
        return self.output(features), state

    def _members(self) -> list[Any]:
        return list(self.models)
