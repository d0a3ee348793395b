"""Classifiers of whole texts: token vectors, an encoder, a linear layer (many-to-one)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textgen.models.config import ClassifierConfig
from textgen.models.dropout import SequenceDropout, TokenEmbedding, VectorProjection
from textgen.models.encoder import Encoded, make_encoder
from textgen.models.word_vectors import CharacterEncoder


class Classifier(nn.Module):
    """Tokens (B, S) to logits (B, C).

    Args:
        config: sizes and regularisation; dropout acts on the token vectors and on the summary.
        vocabulary_size: V; the width D of vectors.
        labels: C.
        characters: number of characters of words; 0 where they are not read.
        vectors: texts are vectors (B, S, D), not tokens.
    """

    def __init__(
        self,
        config: ClassifierConfig,
        vocabulary_size: int,
        labels: int,
        *,
        characters: int = 0,
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
        self.characters = CharacterEncoder(config, characters) if characters else None
        width = config.embedding + (self.characters.size if self.characters else 0)
        self.encoder = make_encoder(config.encoder, width, config)
        self.dropout = SequenceDropout(config.dropout, variational=config.variational)
        self.output = nn.Linear(self.encoder.size, labels)
        nn.init.zeros_(self.output.bias)

    def forward(self, tokens: Tensor, lengths: Tensor, spellings: Tensor) -> Tensor:
        """Logits (B, C).

        Args:
            tokens: (B, S) int64, right-padded; (B, S, D) of vectors.
            lengths: (B,) int64 ≥ 1.
            spellings: (B, S, C) int64 characters of words, padded with 0.
        """
        summary = self.encode(tokens, lengths, spellings).summary.unsqueeze(1)
        logits: Tensor = self.output(self.dropout(summary).squeeze(1))
        return logits

    def encode(self, tokens: Tensor, lengths: Tensor, spellings: Tensor) -> Encoded:
        """States and summary; arguments as of ``forward``."""
        encoded: Encoded = self.encoder(self.vectors(tokens, spellings), lengths)
        return encoded

    def vectors(self, tokens: Tensor, spellings: Tensor) -> Tensor:
        """What the encoder reads: (B, S, I)."""
        vectors: Tensor = self.embedding(tokens)
        if self.characters is not None:
            vectors = torch.cat([vectors, self.characters(spellings)], dim=2)
        dropped: Tensor = self.dropout(vectors)
        return dropped
