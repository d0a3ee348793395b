"""Source lines in, translations out: one for each line, in order."""

from textgen.translation.grouping import SourceLine, TranslationOptions
from textgen.translation.length import MaxLength
from textgen.translation.lines import (
    default_length,
    translate,
    translate_windows,
)
from textgen.translation.result import Candidate, Translation
from textgen.translation.words import replace_unknown, word_links

__all__ = [
    "Candidate",
    "MaxLength",
    "SourceLine",
    "Translation",
    "TranslationOptions",
    "default_length",
    "replace_unknown",
    "translate",
    "translate_windows",
    "word_links",
]
