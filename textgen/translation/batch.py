"""A batch of lines through a translator and a decoding chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from textgen.data.batching import pad_rows
from textgen.decoding.chain import Chain
from textgen.decoding.hypotheses import on_host
from textgen.decoding.rowwise import rowwise
from textgen.decoding.session import make_session
from textgen.errors import memory_errors_told
from textgen.loading import LoadedModel
from textgen.models.shortlist import Shortlist
from textgen.protocols import Batch, Hypotheses, OnStablePrefix, Watch
from textgen.translation.grouping import Line, TranslationOptions
from textgen.translation.result import NOTHING, Candidate, Translation
from textgen.translation.shortlist import Shortlists
from textgen.translation.words import text_after


@memory_errors_told()
def translate_batch(
    loaded: LoadedModel,
    chain: Chain,
    batch: Sequence[Line],
    options: TranslationOptions,
    watch: Watch | None = None,
    *,
    shortlists: Shortlists | None = None,
    on_stable_prefix: OnStablePrefix | None = None,
) -> list[Translation]:
    """Decode lines together.

    Args:
        loaded: the translator.
        chain: of lines that have none of their own, bound to the model.
        batch: lines whose chains have the same strategy, or blank ones.
        options: whether to keep the attention.
        watch: called after each step.
        shortlists: makes what each line may become; None for the whole vocabulary.
        on_stable_prefix: told what no later step can change, where there is one line and no
            shortlist.

    Returns:
        One translation for each line, in their order.

    Raises:
        OutOfMemoryError: if so many hypotheses of so many lines do not fit.
    """
    if not batch[0].tokens:
        return [Translation(line.index, line.text, (), line.cut, (NOTHING,)) for line in batch]
    if shortlists is None:
        hypotheses = _decoded(
            loaded, chain, batch, options, watch, on_stable_prefix=on_stable_prefix
        )
    else:
        short = shortlists([line.tokens for line in batch], [line.prefix for line in batch])
        lines = [replace(line, prefix=short.shorten(line.prefix)) for line in batch]
        hypotheses = _decoded(_among(loaded, short), chain, lines, options, watch)
        hypotheses = replace(hypotheses, tokens=short.lengthen(hypotheses.tokens))
    hypotheses = on_host(hypotheses)
    found = []
    for row, line in enumerate(batch):
        candidates = [
            _candidate(loaded, hypotheses, row, number, line)
            for number in range(hypotheses.tokens.shape[1])
            if number == 0 or torch.isfinite(hypotheses.scores[row, number])
        ]
        found.append(
            Translation(
                line.index,
                line.text,
                tuple(line.tokens),
                line.cut,
                tuple(candidates),
                line.beginning,
                len(line.prefix),
                _source_pieces(loaded, line) if options.attention else (),
            )
        )
    return found


def _decoded(
    loaded: LoadedModel,
    chain: Chain,
    batch: Sequence[Line],
    options: TranslationOptions,
    watch: Watch | None,
    *,
    on_stable_prefix: OnStablePrefix | None = None,
) -> Hypotheses:
    """(B, K) hypotheses of the lines."""
    special, eos = loaded.tokenizer.special, loaded.require_source().special.eos
    rows = [np.array(line.tokens) for line in batch]
    source = pad_rows(rows, special.pad, after=eos).to(loaded.device)
    lengths = torch.tensor([len(row) + 1 for row in rows], device=loaded.device)
    session = make_session(
        loaded.model,
        Batch(len(batch), source, lengths),
        [[] for _ in batch],
        special=special,
        limits=[line.limit for line in batch],
        seed=[line.rng_key[0] for line in batch],
        indices=[line.rng_key[1] for line in batch],
        samples=batch[0].candidates,
        attention=options.attention,
        forced=[line.prefix for line in batch],
        texts=[line.text.strip() for line in batch],
        watch=watch,
        on_stable_prefix=on_stable_prefix,
        allow_unknown=options.allow_unknown or (batch[0].chain or chain).allow_unknown,
    )
    chains = [line.chain or chain for line in batch]
    filters = rowwise([each.filters for each in chains])
    return replace(chains[0], filters=filters).decode(session)


def _among(loaded: LoadedModel, short: Shortlist) -> LoadedModel:
    """The model with the tokens of a shortlist alone."""
    return replace(loaded, model=loaded.model.restricted(short))


def _candidate(
    loaded: LoadedModel, hypotheses: Hypotheses, row: int, number: int, line: Line
) -> Candidate:
    length = int(hypotheses.lengths[row, number])
    tokens: list[int] = hypotheses.tokens[row, number, :length].tolist()
    attention: NDArray[np.float32] | None = None
    pieces: tuple[str, ...] = ()
    if hypotheses.attention is not None:
        weights = hypotheses.attention[row, number, :length, : len(line.tokens) + 1]
        attention = weights.float().numpy().copy()
        pieces = tuple(map(loaded.tokenizer.piece, tokens))
    return Candidate(
        text=text_after(loaded, line.beginning, len(line.prefix), tokens),
        tokens=tuple(tokens),
        score=float(hypotheses.scores[row, number]),
        log_prob=float(hypotheses.log_probs[row, number]),
        token_log_probs=tuple(hypotheses.token_log_probs[row, number, :length].tolist()),
        finished=bool(hypotheses.finished[row, number]),
        attention=attention,
        pieces=pieces,
    )


def _source_pieces(loaded: LoadedModel, line: Line) -> tuple[str, ...]:
    """The tokens that are attended to, as text."""
    tokenizer = loaded.require_source()
    return tuple(map(tokenizer.piece, [*line.tokens, tokenizer.special.eos]))
