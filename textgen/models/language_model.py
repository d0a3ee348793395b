"""The recurrent language model."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from textgen.errors import ConfigError
from textgen.models.adaptive_softmax import AdaptiveSoftmax
from textgen.models.config import LanguageModelConfig
from textgen.models.dropout import SequenceDropout, TokenEmbedding
from textgen.models.products import Precision, prepack_output
from textgen.models.recurrent import RecurrentStack
from textgen.models.state import RecurrentState
from textgen.models.stepping import Decoder, StackStep, read_by_steps
from textgen.protocols import Batch


class LanguageModel(Decoder):
    """Token vectors, a recurrent stack, an output layer: p(token | all tokens before it).

    Args:
        config: sizes and regularisation.
        vocabulary_size: V.

    Attributes:
        factored: the adaptive softmax that stands in for ``projection``, or None.

    Raises:
        ConfigError: if the output does not fit the vocabulary, or is adaptive and tied.
    """

    def __init__(self, config: LanguageModelConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.config = config
        self.vocabulary_size = vocabulary_size
        width = config.embedding_size
        self.embedding = TokenEmbedding(vocabulary_size, width, config.embedding_dropout)
        self.stack = RecurrentStack(width, config)
        self.input_dropout = SequenceDropout(config.dropout, variational=config.variational)
        self.output_dropout = SequenceDropout(
            config.output_dropout_share, variational=config.variational
        )
        self._make_output(width)

    def _make_output(self, width: int) -> None:
        """The output layer; a tied one needs features as wide as the token vectors."""
        config, hidden = self.config, self.config.hidden
        if problems := config.output_problems(tied=config.tied):
            raise ConfigError(problems)
        self.factored: AdaptiveSoftmax | None = None
        self.narrow = (
            nn.Linear(hidden, width, bias=False)
            if config.tied and width != hidden
            else nn.Identity()
        )
        if config.output == "adaptive":
            cutoffs = config.cutoffs_for(self.vocabulary_size)
            self.factored = AdaptiveSoftmax(hidden, self.vocabulary_size, cutoffs, config.shrink)
            return
        self.projection = nn.Linear(width if config.tied else hidden, self.vocabulary_size)
        nn.init.uniform_(self.projection.weight, -0.1, 0.1)
        nn.init.zeros_(self.projection.bias)
        if config.tied:
            self.projection.weight = self.embedding.weight

    @override
    def _prepack(self, precision: Precision) -> None:
        self._step = StackStep(self.stack, self.embedding.weight, precision)
        if self.factored is None:
            self._scores = prepack_output(self.narrow, self.projection, precision)
        else:
            self.factored.prepack(precision)

    @override
    def _discard_prepacked(self) -> None:
        super()._discard_prepacked()
        if self.factored is not None:
            self.factored.prepack(None)

    def begin(self, batch: Batch) -> RecurrentState:
        """Zeros for ``batch.size`` rows."""
        self._renew()
        return self.stack.zeros(batch.size)

    def features(
        self, tokens: Tensor, state: RecurrentState, lengths: Tensor | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """Read tokens (N, T) int64; features are the stack's outputs (N, T, H)."""
        if (step := self._step) is not None:
            if tokens.shape[1] == 1:
                return self._stepped(step, tokens[:, 0], state)
            if lengths is not None and step.independent:
                one = partial(self._stepped, step)
                features, state, _ = read_by_steps(one, tokens, state, lengths)
                return features, state
        vectors = self.input_dropout(self.embedding(tokens))
        outputs, state = self.stack(vectors, state, lengths)
        return self.output_dropout(outputs), state

    def _stepped(
        self, step: StackStep, tokens: Tensor, state: RecurrentState
    ) -> tuple[Tensor, RecurrentState]:
        """One token for each row, (N,), with weights prepacked: features (N, 1, H)."""
        last, state = step(tokens, state)
        return last.unsqueeze(1), state

    def output(self, features: Tensor) -> Tensor:
        """(…, H) features to (…, V) logits; those of an adaptive output are log-probabilities."""
        if self.factored is not None:
            log_probs: Tensor = self.factored(features)
            return log_probs
        if self._scores is not None:
            return self._scores(features)
        return F.linear(self.narrow(features), self.projection.weight, self.projection.bias)

    def forward(self, tokens: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """Logits (N, T, V) after each token, and the new state."""
        features, state = self.features(tokens, state)
        return self.output(features), state
