"""Words of a translation: which source words they come from, and unknown ones replaced."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from textgen.data.tokenizers.surfaces import surfaces
from textgen.errors import UsageError
from textgen.evaluation.alignment import Links, hard_links, unite_links, word_numbers
from textgen.loading import LoadedModel
from textgen.translation.result import Candidate, Translation


def word_links(loaded: LoadedModel, translation: Translation, candidate: Candidate) -> Links:
    """Each target token's best source token, as links between words.

    Raises:
        UsageError: if the model has no attention, or it was not kept.
    """
    if not candidate.tokens:
        return frozenset()
    if candidate.attention is None:
        raise UsageError(f"{loaded.name} has no attention: there is nothing to align by.")
    target = [token for token in candidate.tokens if token != loaded.tokenizer.marks.eos]
    source = translation.source_tokens
    return unite_links(
        hard_links(candidate.attention, len(source), len(target)),
        word_numbers(surfaces(loaded.require_source(), source)),
        word_numbers(surfaces(loaded.tokenizer, target)),
    )


def replace_unknown(
    loaded: LoadedModel,
    translation: Translation,
    candidate: Candidate,
    dictionary: Mapping[str, str],
) -> str:
    """The translation with each unknown token replaced by what it attends to most.

    An unknown word becomes the source word, translated by the dictionary where that has an entry
    and copied where it has none (Luong et al. 2015, "Addressing the rare word problem"); an unknown
    character becomes the source character.

    Args:
        loaded: the translator.
        translation: the line.
        candidate: one of its translations, with attention.
        dictionary: source words to target words.
    """
    unknown = loaded.tokenizer.marks.unknown
    if unknown is None or candidate.attention is None or unknown not in candidate.tokens:
        return candidate.text
    copies = _copies(loaded, translation, dictionary)
    texts = surfaces(loaded.tokenizer, candidate.tokens)
    for step, token in enumerate(candidate.tokens):
        if token == unknown and copies:
            copy = copies[int(candidate.attention[step, : len(copies)].argmax())]
            space = " " if texts[step].startswith(" ") else ""
            texts[step] = texts[step] if copy is None else space + copy
    return one_line("".join(texts))


def _copies(
    loaded: LoadedModel, translation: Translation, dictionary: Mapping[str, str]
) -> list[str | None]:
    """For each source token what an unknown target token that looks at it becomes."""
    tokens = translation.source_tokens
    tokenizer = loaded.require_source()
    if {tokenizer.kind, loaded.tokenizer.kind} == {"characters"}:
        text = translation.source.strip()
        normal = tokenizer.normalisation == "none"
        return [*(text if normal else unicodedata.normalize("NFC", text))][: len(tokens)]
    words = translation.source.split()
    numbers = word_numbers(surfaces(tokenizer, tokens))
    return [
        None if number is None or number >= len(words) else _looked_up(words[number], dictionary)
        for number in numbers
    ]


def _looked_up(word: str, dictionary: Mapping[str, str]) -> str:
    return dictionary.get(word, word)


def one_line(text: str) -> str:
    r"""A text without ``\n`` and ``\r``, which become spaces."""
    return text.replace("\n", " ").replace("\r", " ")
