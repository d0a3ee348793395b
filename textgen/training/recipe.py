"""The configuration of a whole training: tokenizer, data, model and training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Lt

from textgen.data.tokenizers import TokenizerConfig
from textgen.models.config import LanguageModelConfig
from textgen.training.config import TrainingConfig

LANGUAGE_MODEL = "language-model"


@dataclass(frozen=True)
class DataConfig:
    """How a text is cut for training."""

    unit: Annotated[
        Literal["stream", "lines"], "one long text, or each line a sentence of its own"
    ] = "stream"
    valid_share: Annotated[
        float, Ge(0), Lt(1), "held out for validation where no such text is given; 0: none"
    ] = 0.1


@dataclass(frozen=True)
class LanguageModelRecipe:
    """All that makes a language model out of a text."""

    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    model: LanguageModelConfig = field(default_factory=LanguageModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
