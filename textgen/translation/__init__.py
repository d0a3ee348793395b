"""Source lines in, translations out: one for each line, in order."""

from textgen.translation.grouping import SourceLine, TranslationOptions
from textgen.translation.length import MaxLength
from textgen.translation.lexicon import Lexicon, learn_lexicon, load_lexicon, save_lexicon
from textgen.translation.lines import (
    default_length,
    translate,
    translate_windows,
)
from textgen.translation.result import Candidate, Translation
from textgen.translation.shortlist import make_binder
from textgen.translation.streaming import translate_streaming
from textgen.translation.words import replace_unknown, word_links

__all__ = [
    "Candidate",
    "Lexicon",
    "MaxLength",
    "SourceLine",
    "Translation",
    "TranslationOptions",
    "default_length",
    "learn_lexicon",
    "load_lexicon",
    "make_binder",
    "replace_unknown",
    "save_lexicon",
    "translate",
    "translate_streaming",
    "translate_windows",
    "word_links",
]
