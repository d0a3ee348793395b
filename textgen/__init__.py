"""Text generation and translation with recurrent networks and decoding plugins.

    import textgen

    lm = textgen.load("shakespeare")  # a bundled name, or the folder of a model
    print(lm.generate("ROMEO:", temperature=0.8, top_p=0.9, max_tokens=100, seed=7))
    for piece in lm.stream("ROMEO:", decode="beam:width=5"):
        print(piece, end="")
    print(lm.perplexity("other.txt"))

    mt = textgen.load("dates")
    print(mt.translate("3 May 2021"))

The functions below the methods (``load_model``, ``resolve``, ``generate``, ``translate``) take
requests with chains of their own, and inputs without an end. Public names are imported when they
are first asked for, so that ``import textgen`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textgen.classification import Prediction
    from textgen.data.corpora import open_corpus, open_dataset, open_pair_corpus
    from textgen.data.documents import Texts, TextSource
    from textgen.data.labelled import open_labelled
    from textgen.data.opening import open_text
    from textgen.data.parallel import PairFiles, PairTable, PairTexts, ParallelSource
    from textgen.data.tagged import open_tagged
    from textgen.data.tokenizers import load_tokenizer, train_tokenizer
    from textgen.data.vectors import read_vectors, vectors_to_text
    from textgen.decoding.chain import Chain, default_registries, resolve
    from textgen.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        OutOfMemoryError,
        PluginError,
        TextgenError,
        TrainingError,
        UsageError,
    )
    from textgen.evaluation.classification import ClassificationReport
    from textgen.evaluation.forced_alignment import AlignedPair, align
    from textgen.evaluation.given_translations import GivenTranslation, score_given
    from textgen.evaluation.perplexity import Perplexity, perplexity
    from textgen.evaluation.report import TranslationReport
    from textgen.evaluation.translation_metrics import score_translation
    from textgen.inference import Generation, Request, generate
    from textgen.loaded import (
        LoadedClassifier,
        LoadedLanguageModel,
        LoadedTagger,
        LoadedTranslator,
        load,
    )
    from textgen.loaded.comparing import compare
    from textgen.loaded.comparison import Comparison
    from textgen.loaded.history import TrainingHistory
    from textgen.loaded.training import train, training_events
    from textgen.loading import LoadedModel, load_ensemble, load_model
    from textgen.models.hopfield import Hopfield, RecalledText
    from textgen.recipes import (
        ClassifierRecipe,
        LanguageModelRecipe,
        TranslatorRecipe,
        load_recipe,
        load_translator_recipe,
    )
    from textgen.tasks.language_model import train_language_model
    from textgen.tasks.translator import train_translator
    from textgen.translation import (
        Candidate,
        Lexicon,
        MaxLength,
        Translation,
        TranslationOptions,
        learn_lexicon,
        save_lexicon,
        translate,
    )

__all__ = [
    "AlignedPair",
    "Candidate",
    "Chain",
    "CheckpointError",
    "ClassificationReport",
    "ClassifierRecipe",
    "Comparison",
    "ConfigError",
    "DataError",
    "Generation",
    "GivenTranslation",
    "Hopfield",
    "LanguageModelRecipe",
    "Lexicon",
    "LoadedClassifier",
    "LoadedLanguageModel",
    "LoadedModel",
    "LoadedTagger",
    "LoadedTranslator",
    "MaxLength",
    "OutOfMemoryError",
    "PairFiles",
    "PairTable",
    "PairTexts",
    "ParallelSource",
    "Perplexity",
    "PluginError",
    "Prediction",
    "RecalledText",
    "Request",
    "TextSource",
    "TextgenError",
    "Texts",
    "TrainingError",
    "TrainingHistory",
    "Translation",
    "TranslationOptions",
    "TranslationReport",
    "TranslatorRecipe",
    "UsageError",
    "align",
    "compare",
    "default_registries",
    "generate",
    "learn_lexicon",
    "load",
    "load_ensemble",
    "load_model",
    "load_recipe",
    "load_tokenizer",
    "load_translator_recipe",
    "open_corpus",
    "open_dataset",
    "open_labelled",
    "open_pair_corpus",
    "open_tagged",
    "open_text",
    "perplexity",
    "read_vectors",
    "resolve",
    "save_lexicon",
    "score_given",
    "score_translation",
    "train",
    "train_language_model",
    "train_tokenizer",
    "train_translator",
    "training_events",
    "translate",
    "vectors_to_text",
]

_HOMES = {
    "textgen.classification": ("Prediction",),
    "textgen.data.corpora": ("open_corpus", "open_dataset", "open_pair_corpus"),
    "textgen.data.documents": ("TextSource", "Texts"),
    "textgen.data.labelled": ("open_labelled",),
    "textgen.data.tagged": ("open_tagged",),
    "textgen.data.vectors": ("read_vectors", "vectors_to_text"),
    "textgen.data.opening": ("open_text",),
    "textgen.data.parallel": ("PairFiles", "PairTable", "PairTexts", "ParallelSource"),
    "textgen.data.tokenizers": ("load_tokenizer", "train_tokenizer"),
    "textgen.decoding.chain": ("Chain", "default_registries", "resolve"),
    "textgen.errors": (
        "CheckpointError",
        "ConfigError",
        "DataError",
        "OutOfMemoryError",
        "PluginError",
        "TextgenError",
        "TrainingError",
        "UsageError",
    ),
    "textgen.evaluation.classification": ("ClassificationReport",),
    "textgen.evaluation.forced_alignment": ("AlignedPair", "align"),
    "textgen.evaluation.given_translations": ("GivenTranslation", "score_given"),
    "textgen.evaluation.perplexity": ("Perplexity", "perplexity"),
    "textgen.evaluation.report": ("TranslationReport",),
    "textgen.evaluation.translation_metrics": ("score_translation",),
    "textgen.inference": ("Generation", "Request", "generate"),
    "textgen.loaded": (
        "LoadedClassifier",
        "LoadedLanguageModel",
        "LoadedTagger",
        "LoadedTranslator",
        "load",
    ),
    "textgen.loaded.comparing": ("compare",),
    "textgen.loaded.comparison": ("Comparison",),
    "textgen.loaded.history": ("TrainingHistory",),
    "textgen.loaded.training": ("train", "training_events"),
    "textgen.loading": ("LoadedModel", "load_ensemble", "load_model"),
    "textgen.models.hopfield": ("Hopfield", "RecalledText"),
    "textgen.recipes": (
        "ClassifierRecipe",
        "LanguageModelRecipe",
        "TranslatorRecipe",
        "load_recipe",
        "load_translator_recipe",
    ),
    "textgen.tasks.language_model": ("train_language_model",),
    "textgen.tasks.translator": ("train_translator",),
    "textgen.translation": (
        "Candidate",
        "Lexicon",
        "MaxLength",
        "Translation",
        "TranslationOptions",
        "learn_lexicon",
        "save_lexicon",
        "translate",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name from its home; ``__version__`` is the installed package's."""
    if name == "__version__":
        from importlib.metadata import version

        return version("textgen")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, and what a module has anyway."""
    return sorted({*globals(), *__all__, "__version__"})
