"""Classifiers of whole texts: token vectors, an encoder, a linear layer (many-to-one)."""

from __future__ import annotations

from torch import Tensor, nn

from textgen.models.config import ClassifierConfig
from textgen.models.dropout import SequenceDropout, TokenEmbedding, VectorProjection
from textgen.models.encoder import Encoded, make_encoder


class Classifier(nn.Module):
    """Tokens (B, S) to logits (B, C).

    Args:
        config: sizes and regularisation; dropout acts on the token vectors and on the summary.
        vocabulary_size: V; the width D of vectors.
        labels: C.
        vectors: texts are vectors (B, S, D), not tokens.
    """

    def __init__(
        self,
        config: ClassifierConfig,
        vocabulary_size: int,
        labels: int,
        *,
        vectors: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.vocabulary_size, self.label_count = vocabulary_size, labels
        self.embedding: nn.Module = (
            VectorProjection(vocabulary_size, config.embedding, config.word_dropout)
            if vectors
            else TokenEmbedding(vocabulary_size, config.embedding, word_share=config.word_dropout)
        )
        self.encoder = make_encoder(config.encoder, config.embedding, config)
        self.dropout = SequenceDropout(config.dropout, variational=config.variational)
        self.output = nn.Linear(self.encoder.size, labels)
        nn.init.zeros_(self.output.bias)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Logits (B, C) of tokens (B, S) int64, right-padded, with lengths (B,) int64 ≥ 1."""
        summary = self.encode(tokens, lengths).summary.unsqueeze(1)
        logits: Tensor = self.output(self.dropout(summary).squeeze(1))
        return logits

    def encode(self, tokens: Tensor, lengths: Tensor) -> Encoded:
        """States and summary of tokens (B, S)."""
        encoded: Encoded = self.encoder(self.dropout(self.embedding(tokens)), lengths)
        return encoded
