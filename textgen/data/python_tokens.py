"""The built-in corpus ``python-tokens``: lines of the standard library, tagged by Python itself.

The words are the tokens of a logical line; the tags are the types that ``tokenize`` gives them,
with keywords and the names of built-in functions told apart from other names.
"""

from __future__ import annotations

import builtins
import io
import keyword
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated

from annotated_types import Gt, Le
from typing_extensions import override

from textgen.data.builtin import python_library
from textgen.data.documents import TextSource, digest
from textgen.data.parallel import Pair, PairSplits, ParallelSource
from textgen.data.sentence_files import JOIN, tagged_pair

_MOST_WORDS = 60
_LINE_ENDS = {tokenize.NEWLINE, tokenize.ENDMARKER}
_NO_WORDS = {tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}
_BUILTIN_NAMES = {name for name in dir(builtins) if not name.startswith("_")}


@dataclass(frozen=True)
class PythonTokensConfig:
    """How much of the library is read."""

    share: Annotated[float, Gt(0), Le(1), "of its lines, chosen by a hash of the line"] = 0.1


def open_python_tokens(config: PythonTokensConfig) -> PairSplits:
    """The corpus; its parts are those of ``python-library``, whole files.

    Raises:
        DataError: if this Python brings no source files.
    """
    train, valid, test = (
        None if part is None else TaggedLinesOfPython(part, config.share)
        for part in python_library()
    )
    return PairSplits(train, valid, test)  # type: ignore[arg-type]  # there is a training part


class TaggedLinesOfPython(ParallelSource):
    """Logical lines of Python files with the types of their tokens.

    Args:
        source: of the files.
        share: of the lines.
    """

    def __init__(self, source: TextSource, share: float) -> None:
        self._source, self._share = source, share

    @property
    @override
    def name(self) -> str:
        return self._source.name.replace("python-library", "python-tokens")

    @override
    def pairs(self, epoch: int = 0) -> Iterator[Pair]:
        for piece in self._source.pieces():
            for words, tags in tagged_lines(piece.text):
                if 1 < len(words) <= _MOST_WORDS and _hash(JOIN.join(words)) < self._share:
                    yield tagged_pair(words, tags, self.name)

    @override
    def fingerprint(self) -> str:
        return digest([self._source.fingerprint(), str(self._share)])


def tagged_lines(code: str) -> Iterator[tuple[list[str], list[str]]]:
    """Words and tags of the logical lines; those with tokens over several lines are left out.

    What follows a place where the code is no Python is left out too.
    """
    words: list[str] = []
    tags: list[str] = []
    whole = True
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type in _LINE_ENDS:
                if words and whole:
                    yield words, tags
                words, tags, whole = [], [], True
            elif token.type not in _NO_WORDS:
                words.append(token.string)
                tags.append(_tag(token))
                whole = whole and not set(token.string) & {"\n", "\t", "\r"}
    except (tokenize.TokenError, SyntaxError):
        return


def _tag(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NAME:
        if keyword.iskeyword(token.string):
            return "KEYWORD"
        return "BUILTIN" if token.string in _BUILTIN_NAMES else "NAME"
    return tokenize.tok_name[token.type]


def _hash(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    data = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(data, "little") / (1 << 64)
