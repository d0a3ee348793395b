"""What a model is made of, as configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

CellName = Literal["rnn", "lstm", "lstm-1997", "lstm-peephole", "gru", "gru-fused"]
Share = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True)
class StackConfig:
    """A stack of recurrent layers."""

    cell: Annotated[CellName, "recurrent cell of every layer"] = "lstm"
    layers: Annotated[int, Ge(1), "number of layers"] = 2
    hidden: Annotated[int, Ge(1), "units of each layer"] = 256
    dropout: Annotated[Share, "share of values dropped between layers and at both ends"] = 0.0
    variational: Annotated[bool, "one dropout mask for a whole sequence (Gal 2016)"] = False
    drop_connect: Annotated[Share, "share of recurrent weights dropped (Merity 2017)"] = 0.0
    residual: Annotated[bool, "add each layer's input to its output, from the second on"] = False
    layer_norm: Annotated[bool, "normalise each layer's output (Ba 2016)"] = False
    diagonal: Annotated[bool, "peepholes as vectors instead of matrices"] = False


@dataclass(frozen=True)
class LanguageModelConfig(StackConfig):
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
