"""Vectors of words: one for each word of the vocabulary, and what the characters add."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textgen.models.config import CharacterConfig, EncoderConfig
from textgen.models.convolution import ConvolutionEncoder
from textgen.models.dropout import TokenEmbedding
from textgen.models.encoder import RecurrentEncoder

WIDTHS = (2, 3, 4)
"""Of the filters over characters."""


class CharacterEncoder(nn.Module):
    """Characters of words to vectors.

    Filters and their maxima (Kim et al. 2016; Ma & Hovy 2016), or a recurrent network in both
    directions (Lample et al. 2016).

    Args:
        config: kind and sizes.
        characters: number of characters, with those of padding and the unknown one.
    """

    def __init__(self, config: CharacterConfig, characters: int) -> None:
        super().__init__()
        width = config.character_embedding
        self.embedding = nn.Embedding(characters, width)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        stack = EncoderConfig(layers=1, hidden=config.character_hidden)
        self.encoder: ConvolutionEncoder | RecurrentEncoder = (
            ConvolutionEncoder(width, stack, widths=WIDTHS, filters=config.character_hidden)
            if config.characters == "convolution"
            else RecurrentEncoder(width, stack)
        )
        self.size = self.encoder.size

    def forward(self, spellings: Tensor) -> Tensor:
        """(B, S, M) of spellings (B, S, C) int64, padded with 0; each spelling is read once."""
        different, places = torch.unique(
            spellings.flatten(0, 1), dim=0, return_inverse=True
        )  # (U, C), (B·S,)
        lengths = (different > 0).sum(1).clamp(min=1)
        summary = self.encoder(self.embedding(different), lengths).summary  # (U, M)
        vectors: Tensor = summary[places].view(*spellings.shape[:2], -1)
        return vectors


class WordVectors(nn.Module):
    """Words (B, S) and their characters to vectors (B, S, I).

    Args:
        config: of the characters.
        embedding: width of the vectors of whole words.
        vocabulary_size: V.
        characters: number of characters; 0 where they are not read.
        word_dropout: share of words whose vector is dropped in training; characters stay.
    """

    def __init__(
        self,
        config: CharacterConfig,
        embedding: int,
        vocabulary_size: int,
        characters: int,
        word_dropout: float,
    ) -> None:
        super().__init__()
        self.words = TokenEmbedding(vocabulary_size, embedding, word_share=word_dropout)
        self.size = embedding
        self.characters = None
        if config.characters != "none":
            self.characters = CharacterEncoder(config, characters)
            self.size += self.characters.size

    def forward(self, tokens: Tensor, spellings: Tensor) -> Tensor:
        """(B, S, I) of tokens (B, S) and spellings (B, S, C)."""
        vectors: Tensor = self.words(tokens)
        if self.characters is None:
            return vectors
        return torch.cat([vectors, self.characters(spellings)], dim=2)
