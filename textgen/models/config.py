"""What a model is made of, as configuration."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

from textgen.components import CELLS, ENCODERS, Registered
from textgen.errors import ConfigError

Cell = Annotated[str, Registered(CELLS)]
Share = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True)
class StackConfig:
    """A stack of recurrent layers."""

    cell: Annotated[Cell, "recurrent cell of every layer"] = "lstm"
    layers: Annotated[int, Ge(1), "number of layers"] = 2
    hidden: Annotated[int, Ge(1), "units of each layer"] = 256
    dropout: Annotated[Share, "share of values dropped between layers and at both ends"] = 0.0
    variational: Annotated[bool, "one dropout mask for a whole sequence (Gal 2016)"] = False
    drop_connect: Annotated[Share, "share of recurrent weights dropped (Merity 2017)"] = 0.0
    residual: Annotated[bool, "add each layer's input to its output, from the second on"] = False
    layer_norm: Annotated[bool, "normalise each layer's output (Ba 2016)"] = False
    diagonal: Annotated[bool, "peepholes as vectors instead of matrices"] = False


HEAD_LEAST, HEAD_MOST = 2000, 4000
"""Tokens in the head of an adaptive softmax where nobody says how many."""


@dataclass(frozen=True)
class OutputConfig:
    """How features become probabilities."""

    output: Annotated[
        Literal["full", "adaptive"],
        "adaptive: rare tokens in clusters of narrow vectors, for large vocabularies (Grave 2017)",
    ] = "full"
    cutoffs: Annotated[
        tuple[Annotated[int, Ge(1)], ...],
        "adaptive: ranks by frequency at which the clusters begin, as in [4000, 20000]; []: by V",
    ] = ()
    shrink: Annotated[int, Ge(1), "adaptive: factor by which each cluster's vectors narrow"] = 4

    def output_problems(self, *, tied: bool, label_smoothing: float = 0.0) -> list[str]:
        """What contradicts the choice of the output, one sentence each."""
        problems = []
        if any(left >= right for left, right in itertools.pairwise(self.cutoffs)):
            problems.append(f"model.cutoffs: must increase, got {list(self.cutoffs)}.")
        if self.cutoffs and self.output == "full":
            problems.append("model.cutoffs: only model.output=adaptive has clusters.")
        if tied and self.output == "adaptive":
            problems.append(
                "model.output: the vectors of an adaptive output differ in width and cannot be "
                "tied: turn model.tied off, or set model.output=full."
            )
        if label_smoothing and self.output == "adaptive":
            problems.append(
                "training.label_smoothing: looks at every token, which model.output=adaptive "
                "avoids: set it to 0, or model.output=full."
            )
        return problems

    def cutoffs_for(self, size: int) -> tuple[int, ...]:
        """The cutoffs of a vocabulary of ``size`` tokens; by default V/8 and then five-fold.

        Raises:
            ConfigError: if it is too small for them.
        """
        if self.cutoffs:
            if self.cutoffs[-1] >= size:
                problem = (
                    f"model.cutoffs: {self.cutoffs[-1]:,} is no rank in a vocabulary of {size:,} "
                    "tokens: all must be smaller than that."
                )
                raise ConfigError([problem])
            return self.cutoffs
        if size < 2 * HEAD_LEAST:
            problem = (
                f"model.output: adaptive is for large vocabularies, this one has {size:,} tokens "
                f"and {2 * HEAD_LEAST:,} are needed: set model.output=full, or say model.cutoffs."
            )
            raise ConfigError([problem])
        cutoffs = [min(max(size // 8, HEAD_LEAST), HEAD_MOST)]
        while 5 * cutoffs[-1] <= size // 2:
            cutoffs.append(5 * cutoffs[-1])
        return tuple(cutoffs)


@dataclass(frozen=True)
class LanguageModelConfig(OutputConfig, StackConfig):
    """A recurrent language model."""

    embedding: Annotated[int | None, Gt(0), "width of the token vectors; none: as hidden"] = None
    tied: Annotated[bool, "output weights are the token vectors (Press & Wolf 2017)"] = False
    embedding_dropout: Annotated[Share, "share of tokens whose vector is dropped"] = 0.0
    output_dropout: Annotated[Share | None, "dropout before the output; none: as dropout"] = None

    @property
    def embedding_size(self) -> int:
        """E, resolved."""
        return self.embedding or self.hidden

    @property
    def output_dropout_share(self) -> float:
        """Dropout before the output layer, resolved."""
        return self.dropout if self.output_dropout is None else self.output_dropout


SummaryName = Literal["last", "mean", "max", "attention"]


@dataclass(frozen=True)
class EncoderConfig(StackConfig):
    """A recurrent encoder."""

    bidirectional: Annotated[bool, "read the source in both directions"] = True
    merge: Annotated[Literal["concat", "sum"], "how the directions are joined"] = "concat"
    summary: Annotated[SummaryName, "one vector of all states"] = "last"

    @property
    def output_size(self) -> int:
        """M, the width of the encoder's states."""
        return self.hidden * (2 if self.bidirectional and self.merge == "concat" else 1)


AttentionName = Literal["none", "dot", "scaled-dot", "general", "additive"]


@dataclass(frozen=True)
class TranslatorConfig(StackConfig):
    """A recurrent encoder–decoder; the options of the stack are the decoder's."""

    layers: Annotated[int, Ge(1), "layers of the decoder"] = 1
    hidden: Annotated[int, Ge(1), "units of each decoder layer"] = 512
    embedding: Annotated[int, Ge(1), "width of the token vectors on both sides"] = 256
    encoder: Annotated[str, Registered(ENCODERS), "what reads the source"] = "recurrent"
    encoder_cell: Annotated[Cell | None, "cell of the encoder; none: as the decoder"] = None
    encoder_layers: Annotated[int, Ge(1), "layers of the encoder"] = 1
    encoder_hidden: Annotated[
        int | None, Gt(0), "units of each direction; none: half of hidden if bidirectional"
    ] = None
    bidirectional: Annotated[bool, "read the source in both directions"] = True
    merge: Annotated[Literal["concat", "sum"], "how the directions are joined"] = "concat"
    summary: Annotated[SummaryName, "one vector of all states"] = "last"
    attention: Annotated[AttentionName, "score function; none: the context vector alone"] = (
        "general"
    )
    query: Annotated[
        Literal["current", "previous"], "score with h_t (Luong) or with h_{t-1} (Bahdanau)"
    ] = "current"
    input_feeding: Annotated[bool, "join the last attention vector to the decoder's input"] = False
    tied: Annotated[
        Literal["none", "target", "all"],
        "share output weights with the target's token vectors, or with both sides'",
    ] = "target"
    embedding_dropout: Annotated[Share, "share of tokens whose vector is dropped"] = 0.0
    word_dropout: Annotated[Share, "share of positions whose token vector is dropped"] = 0.0
    output_dropout: Annotated[Share | None, "dropout before the output; none: as dropout"] = None

    @property
    def output_dropout_share(self) -> float:
        """Dropout before the output layer, resolved."""
        return self.dropout if self.output_dropout is None else self.output_dropout

    @property
    def encoder_config(self) -> EncoderConfig:
        """The encoder's own configuration."""
        half = self.bidirectional and self.merge == "concat"
        return EncoderConfig(
            cell=self.encoder_cell or self.cell,
            layers=self.encoder_layers,
            hidden=self.encoder_hidden or (self.hidden // 2 if half else self.hidden),
            dropout=self.dropout,
            variational=self.variational,
            drop_connect=self.drop_connect,
            residual=self.residual,
            layer_norm=self.layer_norm,
            diagonal=self.diagonal,
            bidirectional=self.bidirectional,
            merge=self.merge,
            summary=self.summary,
        )


@dataclass(frozen=True)
class CharacterConfig:
    """What the characters of a word add to its vector."""

    characters: Annotated[
        Literal["none", "convolution", "recurrent"],
        "encoder of each word's characters (Kim 2016; Lample 2016)",
    ] = "none"
    character_embedding: Annotated[int, Ge(1), "width of the character vectors"] = 32
    character_hidden: Annotated[int, Ge(1), "filters of each width, or units of each direction"] = (
        64
    )


@dataclass(frozen=True)
class ClassifierConfig(CharacterConfig, EncoderConfig):
    """Token vectors, an encoder, and a linear layer over its summary."""

    layers: Annotated[int, Ge(1), "number of layers"] = 1
    hidden: Annotated[int, Ge(1), "units of each layer and direction"] = 128
    encoder: Annotated[str, Registered(ENCODERS), "what reads the text"] = "recurrent"
    embedding: Annotated[int, Ge(1), "width of the token vectors"] = 128
    summary: Annotated[SummaryName, "recurrent: one vector of all states"] = "attention"
    output: Annotated[
        Literal["softmax", "sigmoid"], "one label for each text, or any number of them"
    ] = "softmax"
    word_dropout: Annotated[Share, "share of positions whose token vector is dropped"] = 0.0


@dataclass(frozen=True)
class TaggerConfig(CharacterConfig, EncoderConfig):
    """Word vectors, an encoder, and a linear layer or a CRF over its states."""

    layers: Annotated[int, Ge(1), "number of layers"] = 1
    hidden: Annotated[int, Ge(1), "units of each layer and direction"] = 200
    encoder: Annotated[str, Registered(ENCODERS), "what reads the sentence"] = "recurrent"
    embedding: Annotated[int, Ge(1), "width of the word vectors"] = 100
    output: Annotated[
        Literal["softmax", "crf"], "each tag for itself, or a linear-chain CRF (Lafferty 2001)"
    ] = "softmax"
    word_dropout: Annotated[Share, "share of words whose vector is dropped"] = 0.0
