"""The contracts between models, searches and plugins: all that a plugin author reads.

Letters: B sources (or prompts) in a batch, K hypotheses for each source, N = B·K rows (row
b·K + k is hypothesis k of source b), T tokens of the output, S tokens of the source,
P tokens of the prefix, V vocabulary, F features, H hidden. Scores are log-probabilities in nats.

Three ideas carry everything: a model is one function ``logits, state = model(tokens, state)``;
rows form a rectangle of B sources × K hypotheses that ``select`` alone rearranges; a strategy
is ``session -> Hypotheses``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeAlias, TypeVar

if TYPE_CHECKING:
    from torch import Tensor


class SpecialTokens(NamedTuple):
    """The token numbers that are no text; ``unknown`` is None in an open vocabulary."""

    pad: int
    bos: int
    eos: int
    unknown: int | None


class Tokenizer(Protocol):
    """Text to token numbers and back."""

    @property
    def size(self) -> int:
        """Number of tokens V, special tokens included."""

    @property
    def special(self) -> SpecialTokens:
        """The numbers of the special tokens."""

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, without bos and eos."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens; pad, bos and eos vanish."""

    def piece(self, token: int) -> str:
        """One token as people read it, for tables and pictures."""


@dataclass(frozen=True)
class Batch:
    """What a model is begun with.

    Attributes:
        size: number of sources B.
        source: (B, S) int64, right-padded; None for a language model.
        source_lengths: (B,) int64, real tokens in each row of ``source``.
    """

    size: int
    source: Tensor | None = None
    source_lengths: Tensor | None = None


class State(Protocol):
    """What a model remembers between calls, for B × K rows: a value, replaced and never changed.

    Memory of the source, if any, is kept once for each source and not for each row.
    """

    @property
    def attention(self) -> Tensor | None:
        """(N, T, S) weights over the source of the call that returned this state, or None."""

    def select(self, parents: Tensor) -> Self:
        """Rows rearranged within each source: ``parents`` (B, K') int64 in [0, K)."""

    def keep(self, sources: Tensor) -> Self:
        """Only the given sources: ``sources`` (B',) int64 in [0, B); S of the attention stays."""

    def detach(self) -> Self:
        """The same values without their history, for truncated back-propagation."""


StateT = TypeVar("StateT", bound=State)


class Model(Protocol[StateT]):
    """An autoregressive model; a language model is a translator without memory."""

    @property
    def vocabulary_size(self) -> int:
        """V, the width of the logits."""

    def begin(self, batch: Batch) -> StateT:
        """State before the first token, K = 1: zeros, or the encoded source."""

    def features(
        self, tokens: Tensor, state: StateT, lengths: Tensor | None = None
    ) -> tuple[Tensor, StateT]:
        """Read tokens.

        Args:
            tokens: (N, T) int64.
            state: of the same N rows.
            lengths: (N,) int64, real tokens of each row (1..T); None means all T. Positions
                after a row's length have undefined features and do not touch its state.

        Returns:
            (N, T, F) features after each token, and the state after each row's last real token.
        """

    def output(self, features: Tensor) -> Tensor:
        """(…, F) features to (…, V) logits."""

    def __call__(self, tokens: Tensor, state: StateT) -> tuple[Tensor, StateT]:
        """``output(features(tokens, state))``: logits (N, T, V) and the new state."""


class Choice(NamedTuple):
    """One of the softmaxes whose product is the probability of a target.

    Attributes:
        rows: (n,) int64 in [0, N), the targets that it is a factor of.
        logits: (n, C) of its C options.
        targets: (n,) int64, the options taken.
    """

    rows: Tensor
    logits: Tensor
    targets: Tensor


class FactoredOutput(Protocol):
    """An output layer that needs not all V logits to judge a given token.

    A model that has one names it ``factored``; training, validation and scoring then use it. Its
    ``output`` gives all V log-probabilities as logits, so that every search works.
    """

    def choices(self, features: Tensor, targets: Tensor) -> Iterator[Choice]:
        """The factors of each target's probability: features (N, F), targets (N,) int64."""

    def token_log_probs(self, features: Tensor, targets: Tensor) -> Tensor:
        """Log-probabilities (N,) of targets (N,), in memory that does not grow with N · V."""


class Pick(NamedTuple):
    """How a search goes on: row (b, k') continues hypothesis ``parents[b, k']`` with a token.

    Attributes:
        parents: (B, K') int64 in [0, K); None keeps each row its own parent (K' = K).
        tokens: (B, K') int64 in [0, V).
    """

    parents: Tensor | None
    tokens: Tensor


class Random(Protocol):
    """Random numbers that belong to (seed, source, hypothesis, step) and to nothing else."""

    def uniform(self, beam: Beam, count: int | None = None, stream: int = 0) -> Tensor:
        """(B, K), or (B, K, count), float64 in (0, 1): the same whoever the neighbours are.

        Args:
            beam: the rows and the step that ask.
            count: numbers for each row; None for one without a last dimension.
            stream: set apart several uses at one step.
        """


@dataclass(frozen=True)
class Beam:
    """The hypotheses of a running search, B sources × K.

    Attributes:
        tokens: (B, K, T) int64, generated so far, forced ones included; pad after a finished
            row's end.
        log_probs: (B, K, T) float32, each token's log-probability before any filter.
        scores: (B, K) float32, their sum; −inf marks a dead row.
        lengths: (B, K) int64, generated tokens, eos counted, pad not.
        finished: (B, K) bool.
        sources: (B,) int64, each source's number in the session: sources that are done leave
            the batch, so a plugin's own tensors of all sources are read as ``mine[beam.sources]``.
        prefix: (B, P) int64, right-padded prompt, no part of the output; the first is bos.
        prefix_lengths: (B,) int64.
        limit: (B,) int64, most tokens that may be generated, eos counted.
        features: (B, K, F), the model's features at the last token.
        state: the model's state after the last token.
        attention: (B, K, T, S) weights of each generated token, or None.
        random: the session's random numbers.
        special: token numbers of pad, bos, eos.
        parents: (B, K) int64: which row of its source each row was when a filter or a pick was
            called last; None where each is the row it was, and at the first step.
        log_normaliser: (B, K) float32, by which the model's logits are larger than the
            log-probabilities that the first filter gets; 0 of a model that gives log-probabilities.
            None where nobody knows.
    """

    tokens: Tensor
    log_probs: Tensor
    scores: Tensor
    lengths: Tensor
    finished: Tensor
    sources: Tensor
    prefix: Tensor
    prefix_lengths: Tensor
    limit: Tensor
    features: Tensor
    state: Any
    attention: Tensor | None
    random: Random
    special: SpecialTokens
    parents: Tensor | None = None
    log_normaliser: Tensor | None = None

    @property
    def step(self) -> int:
        """Number of tokens T generated so far by every live row."""
        return int(self.tokens.shape[2])

    @property
    def width(self) -> int:
        """Number of hypotheses K of each source."""
        return int(self.scores.shape[1])


@dataclass(frozen=True)
class Hypotheses:
    """What a strategy returns: K hypotheses for each of B sources, best first.

    Attributes:
        tokens: (B, K, T) int64, forced ones included, pad after the end, eos included where it
            was generated.
        lengths: (B, K) int64, eos counted.
        scores: (B, K) float32, by which they are ranked; −inf where there is no hypothesis.
        log_probs: (B, K) float32, sum of the unfiltered log-probabilities of the tokens.
        token_log_probs: (B, K, T) float32.
        finished: (B, K) bool: ended by eos or a stop, not by the limit; False too where what was
            asked for (a phrase that must appear) could not be done.
        attention: (B, K, T, S) or None.
    """

    tokens: Tensor
    lengths: Tensor
    scores: Tensor
    log_probs: Tensor
    token_log_probs: Tensor
    finished: Tensor
    attention: Tensor | None = None


Filter: TypeAlias = "Callable[[Tensor, Beam], Tensor]"
"""Log-probabilities (B, K, V) to log-probabilities of the same shape; −inf forbids a token.

What it gets is normalised only when it is the first; it never works in place. One that keeps
something of its own for each row has a method ``start(session) -> Filter``, called once at the
beginning of every search; ``textgen.decoding.reorder`` lets what it keeps go with the rows.
One that forbids the end of short outputs has an attribute ``minimum_length``, the least number of
tokens: stop texts do not end an output before it either.
"""

Watch: TypeAlias = "Callable[[Beam], Tensor | None]"
"""Called after each step; may return (B, K) bool of rows to stop now (stop texts, streaming).

The beam's ``features`` and ``state`` are then still those before the newest token is read.
"""

OnStablePrefix: TypeAlias = "Callable[[Tensor, Tensor, Tensor], None]"
"""Called during search with the part of the best hypothesis that can no longer change.

Its arguments: (B',) int64 sources, (B', T) int64 generated tokens, (B',) int64 how many of these
no later step can change. A source's number never shrinks.
"""


@dataclass(frozen=True)
class Session:
    """One decoding job: a model begun on B sources, and what was asked of it.

    There are two kinds of given text. The prompt, ``prefix``, is read before the output: it counts
    for no length, limit or score. The forced beginning, ``forced``, is the output's own: its
    tokens count as if they had been chosen, for lengths, limits, scores, coverage, penalties and
    random numbers. So forcing the beginning of a result gives that result again.

    Attributes:
        model: the model.
        state: its state after ``begin``, K = 1: before the prefix is read.
        prefix: (B, P) int64, right-padded, begins with bos.
        prefix_lengths: (B,) int64 ≥ 1.
        limit: (B,) int64 ≥ 0, and at least the number of forced tokens.
        special: token numbers of pad, bos, eos.
        random: random numbers for each source.
        filters: applied in this order.
        samples: hypotheses wanted for each source.
        watch: called after each step.
        forced: (B, T) int64, the token that each step must generate, whatever the filters forbid;
            pad where the step is free. None forces nothing.
        on_stable_prefix: told the beginning of each source's output that is certain, where
            ``samples`` is 1 and the strategy can say it; None where nobody asks. A strategy that
            chooses among the results of several searches runs them without it.
        attention: keep the attention of each token.
        eos_at_limit: force eos as the last token that the limit allows; else a hypothesis is cut
            there and counts as not finished.
        texts: the source sentences (for a language model the prompts) where they are known; else
            nothing.
        batch: what the model was begun with, where it is known.
        allow_unknown: the unknown token may be generated; it may be forced in any case.
    """

    model: Model[Any]
    state: Any
    prefix: Tensor
    prefix_lengths: Tensor
    limit: Tensor
    special: SpecialTokens
    random: Random
    filters: tuple[Filter, ...] = ()
    samples: int = 1
    watch: Watch | None = None
    attention: bool = False
    eos_at_limit: bool = False
    texts: tuple[str, ...] = ()
    batch: Batch | None = None
    on_stable_prefix: OnStablePrefix | None = None
    forced: Tensor | None = None
    allow_unknown: bool = True

    @property
    def forbidden(self) -> tuple[int, ...]:
        """Tokens that no search generates: pad, bos, and unknown where that is not allowed."""
        unknown = (
            () if self.allow_unknown or self.special.unknown is None else (self.special.unknown,)
        )
        return (self.special.pad, self.special.bos, *unknown)


class AuxiliaryModel(Protocol):
    """Another model that a plugin asks for by its folder or name.

    A plugin that needs one has a method ``setup_models(load)`` that returns the plugin to use:
    ``load`` takes a name and gives a ``AuxiliaryModel``.
    """

    @property
    def name(self) -> str:
        """By which it was asked for."""

    @property
    def kind(self) -> str:
        """``language-model`` or ``translator``."""

    @property
    def model(self) -> Model[Any]:
        """The model, in evaluation mode."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Of what it writes."""

    @property
    def source_tokenizer(self) -> Tokenizer | None:
        """Of what it reads; None for a language model."""


Load: TypeAlias = "Callable[[str], AuxiliaryModel]"
"""A model's folder or name to the model."""


class Strategy(Protocol):
    """A way to decode: a session in, hypotheses out, best first.

    It returns at most ``session.samples`` of them for each source, unless it has an attribute
    ``n_best``, an int or None: a number that its own options name.
    """

    def __call__(self, session: Session) -> Hypotheses:
        """Decode all sources of the session."""
