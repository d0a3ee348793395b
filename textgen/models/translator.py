"""The attentional encoder–decoder (Seq2Seq), and its baseline without attention."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from textgen.errors import ConfigError
from textgen.models.attention import Attention, Memory
from textgen.models.config import TranslatorConfig
from textgen.models.dropout import SequenceDropout, TokenEmbedding, VectorProjection
from textgen.models.encoder import at_end, make_encoder
from textgen.models.products import Precision, Product, prepack, prepack_output
from textgen.models.recurrent import RecurrentStack
from textgen.models.shortlist import Shortlist, Shortlisted
from textgen.models.state import RecurrentState
from textgen.models.stepping import Decoder, StackStep, read_by_steps
from textgen.protocols import Batch
from textgen.rows import flat_rows, source_rows, where_rows


@dataclass(frozen=True)
class TranslatorState:
    """What the decoder remembers.

    Attributes:
        decoder: the recurrent layers, N rows.
        memory: of B sources, once for each; None without attention.
        hidden: (N, H), the last output h of the stack; None where h_{t−1} asks nothing.
        vector: (N, H), the last attention vector a; None without input feeding.
        attention: (N, T, S) weights of the call that returned this state, or None.
    """

    decoder: RecurrentState
    memory: Memory | None
    hidden: Tensor | None = None
    vector: Tensor | None = None
    attention: Tensor | None = None

    @property
    def width(self) -> int:
        """Hypotheses K of each source."""
        return self.decoder.width

    def select(self, parents: Tensor) -> Self:
        """Rows rearranged within each source, (B, K') int64; the memory stays as it is."""
        rows = flat_rows(parents, self.width)
        return self._take(rows, parents.shape[1], self.memory)

    def keep(self, sources: Tensor) -> Self:
        """Only the given sources, (B',) int64."""
        rows = source_rows(sources, self.width)
        memory = None if self.memory is None else self.memory.keep(sources)
        return self._take(rows, self.width, memory)

    def _take(self, rows: Tensor, width: int, memory: Memory | None) -> Self:
        hidden = None if self.hidden is None else self.hidden.index_select(0, rows)
        vector = None if self.vector is None else self.vector.index_select(0, rows)
        return type(self)(self.decoder.take(rows, width), memory, hidden, vector)

    def detach(self) -> Self:
        """The same values without their history."""
        memory = None if self.memory is None else self.memory.detach()
        state = type(self)(self.decoder, memory, self.hidden, self.vector)
        return state.with_tensors([part.detach() for part in self.tensors()])

    def tensors(self) -> list[Tensor]:
        """The tensors that belong to rows, in a fixed order."""
        others = (part for part in (self.hidden, self.vector) if part is not None)
        return [*self.decoder.tensors(), *others]

    def with_tensors(self, tensors: list[Tensor]) -> Self:
        """The same structure with other values, in the order of ``tensors``."""
        count = len(self.decoder.tensors())
        decoder, others = self.decoder.with_tensors(tensors[:count]), iter(tensors[count:])
        hidden = None if self.hidden is None else next(others)
        vector = None if self.vector is None else next(others)
        return dataclasses.replace(self, decoder=decoder, hidden=hidden, vector=vector)


class Translator(Decoder):
    """Encoder, bridge, decoder, attention, output layer.

    Args:
        config: sizes and regularisation.
        source_size: V of the source; the width D of vectors.
        vocabulary_size: V of the target.
        vectors: the source is vectors (B, S, D), not tokens.

    Attributes:
        shortens: the encoder has fewer states than tokens, so that no weights over the source's
            tokens can be given.

    Raises:
        ConfigError: if ``tied = "all"`` and the two vocabularies differ in size, or a dot
            product would join states of different widths.
    """

    def __init__(
        self,
        config: TranslatorConfig,
        source_size: int,
        vocabulary_size: int,
        *,
        vectors: bool = False,
    ) -> None:
        super().__init__()
        if config.tied == "all" and (vectors or source_size != vocabulary_size):
            problem = (
                "model.tied: 'all' needs one joint vocabulary, here are two of "
                f"{source_size} and {vocabulary_size} tokens: set data.joint=true or "
                "model.tied=target."
            )
            raise ConfigError([problem])
        self.config = config
        self.source_size = source_size
        self.vocabulary_size = vocabulary_size
        width, hidden = config.embedding, config.hidden
        shares = config.embedding_dropout, config.word_dropout
        self.target_embedding = TokenEmbedding(vocabulary_size, width, *shares)
        self.source_embedding = (
            VectorProjection(source_size, width, config.word_dropout)
            if vectors
            else self.target_embedding
            if config.tied == "all"
            else TokenEmbedding(source_size, width, *shares)
        )
        self.encoder = make_encoder(config.encoder, width, config.encoder_config)
        self.shortens = bool(getattr(self.encoder, "shortens", False))
        self.stack = RecurrentStack(width + (hidden if config.input_feeding else 0), config)
        self._shapes = [cell.state_shapes for cell in self.stack.layers]
        sizes = [math.prod(shape) for shapes in self._shapes for shape in shapes]
        self.bridge = nn.Linear(self.encoder.size, sum(sizes))
        self.attention = (
            None
            if config.attention == "none"
            else Attention(config.attention, hidden, self.encoder.size)
        )
        variational = config.variational
        self.input_dropout = SequenceDropout(config.dropout, variational=variational)
        self.output_dropout = SequenceDropout(config.output_dropout_share, variational=variational)
        self._make_output(hidden, width)

    _bridge: Product | None = None

    @override
    def _prepack(self, precision: Precision) -> None:
        self._step = StackStep(self.stack, self.target_embedding.weight, precision)
        self._scores = prepack_output(self.narrow, self.projection, precision)
        if self._step.independent:
            self._prepack_encoder(precision)
            self._bridge = prepack(self.bridge.weight, self.bridge.bias, precision)
        if self.attention is not None:
            self.attention.prepack(precision)

    @override
    def _discard_prepacked(self) -> None:
        super()._discard_prepacked()
        self._bridge = None
        self._prepack_encoder(None)
        if self.attention is not None:
            self.attention.prepack(None)

    def _prepack_encoder(self, precision: Precision | None) -> None:
        prepack_encoder = getattr(self.encoder, "prepack", None)
        if prepack_encoder is not None:
            prepack_encoder(precision)

    def _make_output(self, hidden: int, width: int) -> None:
        """The output layer; a tied one needs features as wide as the token vectors."""
        tied = self.config.tied != "none"
        self.narrow = (
            nn.Linear(hidden, width, bias=False) if tied and width != hidden else nn.Identity()
        )
        self.projection = nn.Linear(width if tied else hidden, self.vocabulary_size)
        nn.init.zeros_(self.projection.bias)
        if tied:
            self.projection.weight = self.target_embedding.weight
        else:
            nn.init.uniform_(self.projection.weight, -0.1, 0.1)

    def begin(self, batch: Batch) -> TranslatorState:
        """Encode ``batch.source`` (B, S); K = 1.

        Raises:
            ValueError: if the batch has no source.
        """
        if batch.source is None or batch.source_lengths is None:
            raise ValueError("a translator needs a source and its lengths")
        self._renew()
        vectors = self.input_dropout(self.source_embedding(batch.source))
        states, summary, lengths = self.encoder(vectors, batch.source_lengths)
        decoder = self._first_state(summary)
        hidden = decoder.layers[-1][0]
        memory = None if self.attention is None else self.attention.memory(states, lengths)
        return self._state(decoder, memory, hidden, torch.zeros_like(hidden))

    def _state(
        self,
        decoder: RecurrentState,
        memory: Memory | None,
        hidden: Tensor,
        vector: Tensor,
        attention: Tensor | None = None,
    ) -> TranslatorState:
        """A state that holds what the next step needs."""
        config = self.config
        return TranslatorState(
            decoder,
            memory,
            hidden if config.query == "previous" else None,
            vector if config.input_feeding else None,
            None if self.shortens else attention,
        )

    def _first_state(self, summary: Tensor) -> RecurrentState:
        """Bridge: h = tanh(W s + b) and C = W' s + b' of every decoder layer."""
        bridge = self.bridge if self._bridge is None else self._bridge
        sizes = [math.prod(shape) for shapes in self._shapes for shape in shapes]
        values = iter(bridge(summary).split(sizes, dim=1))
        layers = []
        for shapes in self._shapes:
            hidden, *memory = (next(values).unflatten(1, shape) for shape in shapes)
            layers.append((torch.tanh(hidden), *memory))
        return RecurrentState(tuple(layers))

    def features(
        self, tokens: Tensor, state: TranslatorState, lengths: Tensor | None = None
    ) -> tuple[Tensor, TranslatorState]:
        """Read target tokens (N, T); features are the attention vectors a (N, T, H)."""
        if (step := self._step) is not None:
            if tokens.shape[1] == 1:
                return self._stepped(step, tokens[:, 0], state)
            if lengths is not None and step.independent:
                one = partial(self._stepped, step)
                features, state, weights = read_by_steps(one, tokens, state, lengths)
                return features, dataclasses.replace(state, attention=weights)
        vectors = self.input_dropout(self.target_embedding(tokens))
        if self.config.input_feeding:
            features, state = self._fed(vectors, state, lengths)
        else:
            outputs, decoder = self.stack(vectors, state.decoder, lengths)
            features, weights = self._attend(outputs, state)
            ends = _last(outputs, lengths), _last(features, lengths)
            state = self._state(decoder, state.memory, *ends, weights)
        return self.output_dropout(features), state

    def _stepped(
        self, step: StackStep, tokens: Tensor, state: TranslatorState
    ) -> tuple[Tensor, TranslatorState]:
        """One token for each row, (N,), with weights prepacked: features (N, 1, H)."""
        hidden, decoder = step(tokens, state.decoder, state.vector)
        if self.attention is None or state.memory is None:
            vectors, weights = hidden, None
        else:
            query = hidden if state.hidden is None else state.hidden
            vectors, weights = self.attention.step(query, hidden, state.memory)
        return vectors.unsqueeze(1), self._state(decoder, state.memory, hidden, vectors, weights)

    def _attend(self, outputs: Tensor, state: TranslatorState) -> tuple[Tensor, Tensor | None]:
        """Attention vectors (N, T, H) of stack outputs (N, T, H), all steps at once."""
        if self.attention is None or state.memory is None:
            return outputs, None
        queries = outputs
        if state.hidden is not None:
            first = state.hidden.unsqueeze(1).to(outputs.dtype)
            queries = torch.cat([first, outputs[:, :-1]], dim=1)
        vectors: Tensor
        vectors, weights = self.attention(queries, outputs, state.memory)
        return vectors, weights

    def _fed(
        self, vectors: Tensor, state: TranslatorState, lengths: Tensor | None
    ) -> tuple[Tensor, TranslatorState]:
        """Input feeding (Luong 2015): step t reads [x_t; a_{t-1}]."""
        features, weights = [], []
        for step in range(vectors.shape[1]):
            given = vectors[:, step]
            if state.vector is not None:
                given = torch.cat([given, state.vector.to(vectors.dtype)], dim=1)
            outputs, decoder = self.stack(given.unsqueeze(1), state.decoder)
            vector, weight = self._attend(outputs, state)
            features.append(vector)
            new = self._state(decoder, state.memory, outputs[:, 0], vector[:, 0])
            state = new if lengths is None else _where(lengths > step, new, state)
            if weight is not None:
                weights.append(weight)
        attention = torch.cat(weights, dim=1) if weights else None
        return torch.cat(features, dim=1), dataclasses.replace(state, attention=attention)

    def output(self, features: Tensor) -> Tensor:
        """(…, H) features to (…, V) logits."""
        if self._scores is not None:
            return self._scores(features)
        return F.linear(self.narrow(features), self.projection.weight, self.projection.bias)

    def restricted(self, shortlist: Shortlist) -> Shortlisted:
        """The model with the shortlist's tokens alone; their weights are gathered once, here."""
        weight, bias = shortlist.rows(self.projection.weight, self.projection.bias)
        if self._scores is not None:
            return Shortlisted(self, self._scores.with_last(weight, bias), shortlist)
        return Shortlisted(
            self, lambda features: F.linear(self.narrow(features), weight, bias), shortlist
        )

    def forward(self, tokens: Tensor, state: TranslatorState) -> tuple[Tensor, TranslatorState]:
        """Logits (N, T, V) after each token, and the new state."""
        features, state = self.features(tokens, state)
        return self.output(features), state


def _last(values: Tensor, lengths: Tensor | None) -> Tensor:
    """The last real step (N, F) of (N, T, F)."""
    return values[:, -1] if lengths is None else at_end(values, lengths)


def _where(running: Tensor, new: TranslatorState, old: TranslatorState) -> TranslatorState:
    """Rows (N,) that go on take the new state, the others stand still."""
    pairs = zip(new.tensors(), old.tensors(), strict=True)
    return new.with_tensors([where_rows(running, a, b) for a, b in pairs])
