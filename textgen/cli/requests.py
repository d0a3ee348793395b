"""Requests as JSON, one a line, and their answers: the same for all commands that take --jsonl."""

from __future__ import annotations

import functools
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import click
from annotated_types import Ge, Lt

from textgen.cli.decoding_options import chain_of
from textgen.cli.failures import FAILED, complain
from textgen.cli.options import RANDOM, drawn_seed
from textgen.cli.output import print_json
from textgen.config import structure
from textgen.data.line_reader import LONGEST_LINE, LineReader
from textgen.errors import TextgenError, UsageError
from textgen.short_options import Decoding, short_options_of

if TYPE_CHECKING:
    from textgen.decoding.binding import Binder
    from textgen.decoding.chain import Chain, Registries

T = TypeVar("T")
Ready = TypeVar("Ready")
Answer = list[dict[str, Any]]
"""The objects that are printed for one request."""

_CHAINS = 256
_MEBIBYTE = 1 << 20
_TEXTS = ("prompt", "source", "prefix")


@dataclass(frozen=True)
class OwnDecoding:
    """How one request wants to be decoded; None is what the command's options say.

    The classes that are read have the short options too (``with_short_options``).
    """

    decode: str | None = None
    filters: list[str] | None = None
    allow_unknown: bool | None = None
    seed: Annotated[int, Ge(0), Lt(1 << 63)] | None = None


class Chains:
    """The chains that requests name, each resolved and made ready for the model once.

    Args:
        decoding: the command's options.
        registries: where plugins are looked up.
        default: SPEC of the strategy where none is named.
        binder: of the model that decodes.
    """

    def __init__(
        self, decoding: Decoding, registries: Registries, default: str, binder: Binder
    ) -> None:
        self.decoding, self.registries = decoding, registries
        self.default, self.binder = default, binder
        self._resolved = functools.lru_cache(_CHAINS)(self._resolve)

    def __call__(self, request: OwnDecoding) -> Chain:
        """The chain of a request.

        Raises:
            UsageError: if it cannot be had, or does not suit the model.
        """
        own = self.decoding.replaced_by(
            request.decode,
            request.filters,
            short_options_of(request),
            allow_unknown=request.allow_unknown,
        )
        return self._resolved(own)

    def _resolve(self, decoding: Decoding) -> Chain:
        chain = chain_of(decoding, self.registries, self.default)
        self.binder(chain)
        return chain


def read_request(cls: type[T], line: str) -> T:
    """A request from one line.

    Args:
        cls: the request's dataclass.
        line: a JSON object whose keys are fields of it, each once. Null is as if an option were
            not there, and refused for a text; the seed "random" draws one.

    Raises:
        UsageError: says what is wrong with it.
    """
    if len(line) >= LONGEST_LINE // 4 and len(line.encode()) >= LONGEST_LINE:
        raise UsageError(f"The request is longer than {LONGEST_LINE // _MEBIBYTE} MiB.")
    try:
        item = json.loads(line, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise UsageError(f"Not JSON: {error.msg}, column {error.colno}.") from None
    except (ValueError, RecursionError):
        raise UsageError("Not JSON: a number too long, or too many brackets.") from None
    if not isinstance(item, dict):
        raise UsageError('Expected a JSON object, {"key": value, …}.')
    try:
        json.dumps(item, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UsageError("A text has half of a surrogate pair: that is no character.") from None
    for key in _TEXTS:
        if key in item and item[key] is None:
            raise UsageError(f"{key}: a text is needed, got null. Without one, leave the key out.")
    given = {key: value for key, value in item.items() if value is not None}
    if isinstance(given.get("stop"), str):
        given["stop"] = [given["stop"]]
    if given.get("seed") == RANDOM:
        given["seed"] = drawn_seed()
    return structure(cls, given)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, no key twice.

    Raises:
        UsageError: if one is.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        (key, count), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise UsageError(f"{key}: the key is there {count} times. Each may be there once.")
    return made


def answer_all(
    size: int,
    read: Callable[[str, int], Ready],
    work: Callable[[Sequence[Ready]], Iterable[Answer]],
) -> None:
    """Answer the requests of stdin in their order, and leave the command if any was wrong.

    Args:
        size: most requests worked on at once.
        read: a line and its number to a request.
        work: requests to their answers, in order; what it raises concerns one of those that it
            has not answered yet.
    """
    if sys.stdin.isatty():
        complain("Requests, one JSON object a line; Ctrl-D ends them.")
    reader = LineReader(sys.stdin.buffer)
    count = wrong = 0
    for lines in reader.groups(size):
        for answer in _answers(lines, count, read, work):
            if isinstance(answer, TextgenError):
                wrong += 1
                print_json({"index": count, "error": str(answer)})
            else:
                for item in answer:
                    print_json(item)
            sys.stdout.flush()
            count += 1
    if reader.undecodable:
        complain(f"Warning: bytes that are no UTF-8 text, in {reader.undecodable:,} of the lines.")
    if wrong:
        complain(f"{wrong:,} of {count:,} requests got an error for an answer.")
        click.get_current_context().exit(FAILED)


def _answers(
    lines: Sequence[str],
    begin: int,
    read: Callable[[str, int], Ready],
    work: Callable[[Sequence[Ready]], Iterable[Answer]],
) -> Iterator[Answer | TextgenError]:
    """An answer or an error for each line."""
    requests: list[Ready | TextgenError] = []
    for number, line in enumerate(lines, start=begin):
        try:
            requests.append(read(line, number))
        except TextgenError as error:
            requests.append(error)
    answers = _worked([each for each in requests if not isinstance(each, TextgenError)], work)
    for request in requests:
        yield request if isinstance(request, TextgenError) else next(answers)


def _worked(
    ready: Sequence[Ready], work: Callable[[Sequence[Ready]], Iterable[Answer]]
) -> Iterator[Answer | TextgenError]:
    """The answers of requests together; from where that fails on each request by itself."""
    done = 0
    try:
        for answer in work(ready):
            yield answer
            done += 1
    except TextgenError as error:
        if len(ready) == 1:
            yield error
            return
        for request in ready[done:]:
            yield from _worked([request], work)
