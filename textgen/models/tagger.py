"""Taggers: word vectors, an encoder, and a score of each tag for each word (many-to-many)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textgen.errors import ConfigError
from textgen.models.config import TaggerConfig
from textgen.models.crf import LinearChainCrf, Transitions, viterbi
from textgen.models.dropout import SequenceDropout
from textgen.models.encoder import make_encoder
from textgen.models.word_vectors import WordVectors


class Tagger(nn.Module):
    """Words to scores (B, S, L) of their tags.

    Args:
        config: sizes and regularisation; dropout acts on the word vectors and on the states.
        vocabulary_size: V.
        characters: number of characters; 0 where they are not read.
        labels: L.
        allowed: what a CRF allows to stand where; None allows all.

    Raises:
        ConfigError: if the encoder shortens the sentence.
    """

    def __init__(
        self,
        config: TaggerConfig,
        vocabulary_size: int,
        characters: int,
        labels: int,
        allowed: Transitions | None = None,
    ) -> None:
        super().__init__()
        self.config, self.vocabulary_size = config, vocabulary_size
        self.vectors = WordVectors(
            config, config.embedding, vocabulary_size, characters, config.word_dropout
        )
        self.encoder = make_encoder(config.encoder, self.vectors.size, config)
        if getattr(self.encoder, "shortens", False):
            problem = (
                f"model.encoder: {config.encoder} gives fewer states than there are words, and a "
                "tagger needs one for each: use stride=1, pool=1 and padding=same."
            )
            raise ConfigError([problem])
        self.dropout = SequenceDropout(config.dropout, variational=config.variational)
        self.output = nn.Linear(self.encoder.size, labels)
        nn.init.zeros_(self.output.bias)
        self.crf = LinearChainCrf(labels, allowed) if config.output == "crf" else None

    def forward(self, tokens: Tensor, spellings: Tensor, lengths: Tensor) -> Tensor:
        """Scores (B, S, L) float32.

        Args:
            tokens: (B, S) int64, right-padded.
            spellings: (B, S, C) int64, padded with 0.
            lengths: (B,) int64 ≥ 1.
        """
        vectors = self.dropout(self.vectors(tokens, spellings))
        states = self.encoder(vectors, lengths).states
        scores: Tensor = self.output(self.dropout(states)).float()
        positions = torch.arange(scores.shape[1], device=scores.device)
        # states after a row's length are undefined
        return scores.masked_fill((positions >= lengths.unsqueeze(1)).unsqueeze(2), 0)

    def chain(self, scores: Tensor) -> Transitions:
        """The transition scores; without a CRF all moves are worth the same."""
        if self.crf is not None:
            return self.crf.chain()
        zeros = scores.new_zeros(scores.shape[2])
        return Transitions(zeros, zeros.expand(len(zeros), -1), zeros)

    def best(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """The likeliest tags (B, S) int64 of scores (B, S, L): of each word, or of the sentence."""
        if self.crf is None:
            return scores.argmax(2)
        return viterbi(scores, lengths, self.crf.chain())[0][:, 0]
