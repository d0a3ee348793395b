"""Words of a translation: which source words they come from, and unknown ones replaced."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter

from textgen.data.tokenizers.base import TextTokenizer
from textgen.data.tokenizers.stream_decoder import StreamDecoder
from textgen.data.tokenizers.surfaces import surfaces
from textgen.data.whitespace import split_words
from textgen.errors import UsageError
from textgen.loading import LoadedModel
from textgen.translation.links import Links, hard_links, unite_links, word_numbers
from textgen.translation.result import Candidate, Translation


def word_links(loaded: LoadedModel, translation: Translation, candidate: Candidate) -> Links:
    """Each target token's best source token, as links between words.

    A target token that looks at the source's end most has none.

    Raises:
        UsageError: if the model has no attention, or it was not kept.
    """
    if not candidate.tokens:
        return frozenset()
    if candidate.attention is None:
        raise UsageError(f"{loaded.name} has no attention: there is nothing to align by.")
    target = [token for token in candidate.tokens if token != loaded.tokenizer.special.eos]
    source = translation.source_tokens
    return unite_links(
        hard_links(candidate.attention, len(source), len(target)),
        word_numbers(surfaces(loaded.require_source(), source), translation.source),
        word_numbers(surfaces(loaded.tokenizer, target), candidate.text),
    )


def replace_unknown(
    loaded: LoadedModel,
    translation: Translation,
    candidate: Candidate,
    dictionary: Mapping[str, str],
) -> str:
    """The translation with each unknown token replaced by what it attends to most.

    An unknown word becomes the source word, translated by the dictionary where that has an entry
    and copied where it has none (Luong et al. 2015, "Addressing the rare word problem"). An unknown
    character becomes the source character; where the source has larger tokens, the characters of
    the source word that the target vocabulary lacks, in their order, and where there are none it
    stays. What was forced is the user's own and stays as it was given.

    Args:
        loaded: the translator.
        translation: the line.
        candidate: one of its translations, with attention.
        dictionary: source words to target words.
    """
    unknown, forced = loaded.tokenizer.special.unknown, translation.forced
    if unknown is None or candidate.attention is None or unknown not in candidate.tokens[forced:]:
        return candidate.text
    copies = _copies(loaded, translation, dictionary)
    texts = surfaces(loaded.tokenizer, candidate.tokens)
    for step, token in enumerate(candidate.tokens):
        if token == unknown and copies and step >= forced:
            looked_at = copies[int(candidate.attention[step, : len(copies)].argmax())]
            space = " " if texts[step].startswith(" ") else ""
            copy = next(looked_at, None)
            texts[step] = texts[step] if copy is None else space + copy
    return one_line(translation.prefix + "".join(texts[forced:]))


def _copies(
    loaded: LoadedModel, translation: Translation, dictionary: Mapping[str, str]
) -> Sequence[Iterator[str]]:
    """For each source token what unknown target tokens that look at it become, one by one.

    Tokens of one source word share what it has.
    """
    tokens = translation.source_tokens
    tokenizer, target = loaded.require_source(), loaded.tokenizer
    if {tokenizer.kind, target.kind} == {"characters"}:
        return [itertools.repeat(each) for each in tokenizer.normalise(translation.source.strip())][
            : len(tokens)
        ]
    whole = target.kind == "words"
    entries = {tokenizer.normalise(word): other for word, other in dictionary.items()}
    words = [
        itertools.repeat(entries.get(tokenizer.normalise(word), word))
        if whole
        else iter(_lacking(word, target))
        for word in split_words(translation.source)
    ]
    nothing: Iterator[str] = iter(())
    numbers = word_numbers(surfaces(tokenizer, tokens), translation.source)
    return [
        nothing if number is None or number >= len(words) else words[number] for number in numbers
    ]


def _lacking(word: str, tokenizer: TextTokenizer) -> list[str]:
    """What an unknown token each stands for where a word is written with a vocabulary.

    Characters that are unknown; those in a row are one token of subwords.
    """
    unknown = tokenizer.special.unknown
    known = [(unknown not in tokenizer.encode(each), each) for each in tokenizer.normalise(word)]
    if tokenizer.kind == "characters":
        return [each for written, each in known if not written]
    groups = itertools.groupby(known, key=itemgetter(0))
    return ["".join(each for _, each in group) for written, group in groups if not written]


def text_after(loaded: LoadedModel, prefix: str, forced: int, tokens: Sequence[int]) -> str:
    """The text of a translation on one line; its forced beginning is as it was given.

    Args:
        loaded: the translator.
        prefix: the forced beginning, with characters that the vocabulary may lack.
        forced: how many of the tokens are its own.
        tokens: of the translation.
    """
    if not forced:
        return one_line(loaded.tokenizer.decode(tokens))
    decoder = StreamDecoder(loaded.tokenizer, tokens[forced - 1])
    rest = "".join(map(decoder.push, tokens[forced:])) + decoder.flush()
    return one_line(prefix + rest)


def one_line(text: str) -> str:
    r"""A text without ``\n`` and ``\r``, which become spaces."""
    return text.replace("\n", " ").replace("\r", " ")
