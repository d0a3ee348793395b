"""Speculative decoding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from textgen.decoding import draw, require_same_vocabulary, search
from textgen.errors import UsageError
from textgen.protocols import AuxiliaryModel, Beam, Hypotheses, Load, Pick, Session, Tokenizer
from textgen_decoders.drafting import Drafter
from textgen_decoders.reading_ahead import AheadModel, AheadState, Plan, begun

_ACCEPT, _CORRECT = 101, 102  # streams of random numbers


@dataclass(frozen=True)
class Speculative:
    """Sample, but let a small draft model run ahead: the same distribution with fewer calls.

    A token x̂ is drawn from the draft's q and accepted with probability min(1, p(x̂) / q(x̂)); a
    refused one is replaced by a token drawn from max(0, p − q), normalised. What comes out is
    distributed as p, the filtered distribution of the model that decodes, whatever the draft says.
    That model reads γ tokens in one call: one that is certain and γ − 1 that the draft proposes to
    follow it; the call is spared for each of these that comes true in every row. So it is for one
    or a few texts at a time and a draft that is often right; time is won only where reading γ
    tokens costs about as much as reading one, which is not so for an LSTM on a processor. The
    draft may be a language model or, for a translator, a translator of the same target side. Each
    step has random numbers of its own: where a round begins does not change what is drawn.
    Leviathan, Kalman & Matias 2023, "Fast inference from transformers via speculative decoding";
    Chen et al. 2023, "Accelerating large language model decoding with speculative sampling".

    Example: --decode speculative:draft=checkpoints/small,tokens=4 --filter temperature:0.8
    """

    draft: Annotated[str, "folder or name of the draft model, of the same vocabulary"]
    tokens: Annotated[int, Ge(1), "tokens γ that are read in one call"] = 4

    def setup_models(self, load: Load) -> Drafted:
        """Load the draft model."""
        return Drafted(load(self.draft), self.tokens)

    def __call__(self, session: Session) -> Hypotheses:
        """Refuse: the draft model is not there.

        Raises:
            UsageError: always; ``setup_models`` gives what decodes.
        """
        del session
        raise UsageError(
            f"speculative: the draft model {self.draft} is not loaded; give the chain a way to "
            "load models, as in chain.setup(tokenizer, load_model)."
        )


@dataclass(frozen=True)
class Drafted:
    """``Speculative`` with its draft model."""

    draft: AuxiliaryModel
    tokens: int = 4

    def setup_tokenizer(self, tokenizer: Tokenizer) -> Drafted:
        """See that the draft speaks the same tokens."""
        require_same_vocabulary(self.draft, tokenizer, "speculative")
        return self

    def __call__(self, session: Session) -> Hypotheses:
        """Decode; (B, samples) hypotheses, the likeliest first."""
        model = AheadModel(session.model)
        everybody = torch.arange(len(session.limit), device=session.limit.device)
        ahead = replace(session, model=model, state=begun(session.state, everybody))
        running = _Running(model, Drafter(self.draft, session), self.tokens)
        return search(ahead, running.pick, width=session.samples)


class _Running:
    """One speculative search: the pick, which also plans what is read next."""

    def __init__(self, model: AheadModel, drafter: Drafter, tokens: int) -> None:
        self.model, self.drafter, self.tokens = model, drafter, tokens

    def pick(self, log_probs: Tensor, beam: Beam) -> Pick:
        """Each row goes on with a token of its own distribution."""
        tokens = verified(log_probs, self.drafter.offer(beam), beam)
        known = self.drafter.agrees(beam, tokens)
        if known:
            self.drafter.accept()
        else:
            self.drafter.propose(beam, tokens, self._count(beam))
        self.model.plan = Plan(known, self.drafter.proposed, beam.sources)
        return Pick(None, tokens)

    def _count(self, beam: Beam) -> int:
        """How many tokens to propose: none beyond the limit, none where much is read again."""
        state: AheadState = beam.state
        if state.again >= self.tokens:
            return 0
        wanted = int(beam.limit.max()) - beam.step - 2  # the last token is never read
        return max(0, min(self.tokens - 1, wanted))


def verified(log_probs: Tensor, offer: Tensor, beam: Beam) -> Tensor:
    """Tokens (B, K) int64 drawn from p by way of q.

    Args:
        log_probs: (B, K, V) log p, normalised or not.
        offer: (B, K, V) log q, likewise.
        beam: whose random numbers are used.
    """
    p, q = (each.softmax(-1, dtype=torch.float64) for each in (log_probs, offer))
    drafted = draw(offer, beam.random.uniform(beam))
    at = drafted.unsqueeze(2)
    given, asked = p.gather(2, at).squeeze(2), q.gather(2, at).squeeze(2)
    accepted = beam.random.uniform(beam, stream=_ACCEPT) * asked < given
    rest = (p - q).clamp(min=0)
    rest = torch.where(rest.sum(-1, keepdim=True) > 0, rest, p)
    corrected = draw(rest.log(), beam.random.uniform(beam, stream=_CORRECT))
    return torch.where(accepted, drafted, corrected)
