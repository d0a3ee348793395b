"""The configuration of a whole training: tokenizer, data, model and training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Lt

from textgen.data.tokenizers import TokenizerConfig
from textgen.data.tokenizers.labels import SEPARATOR
from textgen.errors import ConfigError
from textgen.models.config import (
    ClassifierConfig,
    LanguageModelConfig,
    TaggerConfig,
    TranslatorConfig,
)
from textgen.recipes.training import TrainingConfig

LANGUAGE_MODEL = "language-model"
TRANSLATOR = "translator"
CLASSIFIER = "classifier"
TAGGER = "tagger"


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

    def require_sound(self) -> None:
        """Check that the training ends and that no two options exclude each other.

        Raises:
            ConfigError: with all options that do.
        """
        self.training.require_bound()
        problems = self.model.output_problems(
            tied=self.model.tied, label_smoothing=self.training.label_smoothing
        )
        if problems:
            raise ConfigError(problems)


@dataclass(frozen=True)
class PairConfig:
    """How sentence pairs are prepared for training."""

    joint: Annotated[bool, "one vocabulary for both sides, learnt from both"] = True
    max_length: Annotated[int | None, Ge(1), "most tokens of a side; none: no limit"] = 200
    over_long: Annotated[Literal["drop", "cut"], "what happens to longer pairs"] = "drop"
    valid_share: Annotated[
        float, Ge(0), Lt(1), "held out for validation where no such pairs are given; 0: none"
    ] = 0.02
    subword_dropout: Annotated[
        float, Ge(0), Lt(1), "BPE merges left out at random (BPE-dropout), on both sides"
    ] = 0.0
    subword_sampling: Annotated[
        float | None, Ge(0), "unigram: sample segmentations with this smoothing; none: the best"
    ] = None


@dataclass(frozen=True)
class ValidationConfig:
    """What is measured at each validation, and by what the best weights are chosen."""

    objective: Annotated[Literal["loss", "bleu"], "what the best weights are best at"] = "loss"
    bleu_pairs: Annotated[
        int, Ge(0), "validation pairs that are really decoded at each validation; 0: none"
    ] = 0
    decode: Annotated[str, "how they are decoded"] = "greedy"
    tokenizer: Annotated[str, "of BLEU: 13a, intl, zh, ja-mecab, ko-mecab, char, …"] = "13a"


@dataclass(frozen=True)
class TranslatorRecipe:
    """All that makes a translator out of sentence pairs."""

    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    source_tokenizer: TokenizerConfig | None = None
    data: PairConfig = field(default_factory=PairConfig)
    model: TranslatorConfig = field(default_factory=TranslatorConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


@dataclass(frozen=True)
class LabelledConfig:
    """How labelled texts are prepared for training."""

    valid_share: Annotated[
        float, Ge(0), Lt(1), "held out for validation where no such texts are given; 0: none"
    ] = 0.1
    max_length: Annotated[int, Ge(1), "tokens after which a text is cut"] = 1000
    class_weights: Annotated[
        Literal["none", "balanced"],
        "balanced: an error of a class counts N / (C · texts of the class) times",
    ] = "none"
    separator: Annotated[str, "between several labels of a text, with model.output=sigmoid"] = (
        SEPARATOR
    )


@dataclass(frozen=True)
class ClassifierRecipe:
    """All that makes a classifier out of labelled texts."""

    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    data: LabelledConfig = field(default_factory=LabelledConfig)
    model: ClassifierConfig = field(default_factory=ClassifierConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    @property
    def label_separator(self) -> str | None:
        """What divides the labels of a text; None where a text has one."""
        return self.data.separator if self.model.output == "sigmoid" else None


@dataclass(frozen=True)
class TaggedConfig:
    """How tagged sentences are prepared for training."""

    valid_share: Annotated[
        float, Ge(0), Lt(1), "held out for validation where no such sentences are given; 0: none"
    ] = 0.1
    max_length: Annotated[int, Ge(1), "words after which a training sentence is cut"] = 200
    lower: Annotated[bool, "word vectors without case; characters keep theirs"] = True
    column: Annotated[str | None, "column of the tags, as --column names it; none: the usual"] = (
        None
    )
    scheme: Annotated[
        Literal["given", "bio", "iobes"], "scheme that tags of spans are converted to for training"
    ] = "given"


@dataclass(frozen=True)
class TaggerRecipe:
    """All that makes a tagger out of tagged sentences."""

    tokenizer: TokenizerConfig = field(
        default_factory=lambda: TokenizerConfig(kind="words", minimum_count=2)
    )
    data: TaggedConfig = field(default_factory=TaggedConfig)
    model: TaggerConfig = field(default_factory=TaggerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
