"""A language model with its verbs: generate, stream, perplexity."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, overload

from textgen.arguments import listed
from textgen.data.documents import TextSource
from textgen.data.encodings import RAW, UTF8, without_surrogates
from textgen.data.tokenizers.unseen import Unseen
from textgen.decoding.chain import Chain
from textgen.errors import TextgenError
from textgen.inference import Generation, OnText, Request, generate_each
from textgen.loaded.base import (
    UsableModel,
    make_chain,
    require_one_result,
    shown,
    streamed_text,
    use_threads_of_this_process,
)
from textgen.loaded.inputs import opened
from textgen.loaded.keywords import (
    FilterLike,
    GenerateKeywords,
    StrategyLike,
    check_keywords,
)
from textgen.log import logger
from textgen.notebooks import table_html
from textgen.progress import counting
from textgen.short_options import DEFAULT_GENERATING, ShortOptions
from textgen.shortfall import Shortfall

if TYPE_CHECKING:
    from textgen.evaluation.perplexity import Perplexity
    from textgen.models.ensemble import Ensemble
    from textgen.models.language_model import LanguageModel
    from textgen.recipes import LanguageModelRecipe


class Samples(list[Generation]):
    """The continuations of one prompt: a list that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        head = (self[0].prompt if self else "", "tokens", "log-probability")
        rows = [(each.text, str(len(each.tokens)), f"{each.log_prob:.4f}") for each in self]
        return table_html(head, rows)


@dataclass(frozen=True, repr=False)
class LoadedLanguageModel(UsableModel):
    """A language model, or an ensemble of several, that continues texts."""

    if TYPE_CHECKING:
        model: LanguageModel | Ensemble
        recipe: LanguageModelRecipe

    @overload
    def generate(  # type: ignore[overload-overlap]  # a text is a prompt, not its characters
        self, prompts: str, *, samples: None = None, **keywords: Unpack[GenerateKeywords]
    ) -> Generation: ...
    @overload
    def generate(  # type: ignore[overload-overlap]  # a text is a prompt, not its characters
        self, prompts: str, *, samples: int, **keywords: Unpack[GenerateKeywords]
    ) -> list[Generation]: ...
    @overload
    def generate(
        self, prompts: Iterable[str], *, samples: None = None, **keywords: Unpack[GenerateKeywords]
    ) -> list[Generation]: ...
    @overload
    def generate(
        self, prompts: Iterable[str], *, samples: int, **keywords: Unpack[GenerateKeywords]
    ) -> list[list[Generation]]: ...
    def generate(
        self,
        prompts: str | Iterable[str],
        *,
        samples: int | None = None,
        max_tokens: int = 500,
        stop: str | Iterable[str] = (),
        seed: int = 0,
        decode: StrategyLike = None,
        filters: FilterLike = (),
        allow_unknown: bool = False,
        batch_size: int = 16,
        progress: bool = False,
        **short: Unpack[ShortOptions],
    ) -> Generation | list[Generation] | list[list[Generation]]:
        """Continue a text, or each of several.

        The result of a prompt depends on its position, which selects the random numbers, but not
        on the other prompts.

        Args:
            prompts: one text or several.
            samples: continuations of each prompt, as a list; None: one, not in a list.
            max_tokens: most tokens of each.
            stop: a continuation ends before the first of these texts.
            seed: of the random numbers.
            decode: the strategy: the SPEC of ``--decode`` (``"beam:width=5"``), or a ``Strategy``;
                None samples.
            filters: SPECs of ``--filter``, or ``Filter`` callables; one or several.
            allow_unknown: the unknown token may be generated.
            batch_size: prompts decoded at once.
            progress: show how many prompts are done.
            short: the short options of the command line (``textgen.short_options.ShortOptions``),
                such as temperature, top_p and beam.

        Returns:
            For one prompt its continuation, or with ``samples`` a list of them, best first where
            they are ranked; for several prompts a list of these.

        Raises:
            UsageError: if a plugin is unknown or does not suit the model, if two strategies are
                named, if a filter is named by its short option and by its SPEC, or if the
                strategy's own options ask for another number of results than ``samples``.
            TextgenError: if the strategy finds no continuation.
        """
        check_keywords(self.generate, short)
        use_threads_of_this_process()
        chain = make_chain(decode, filters, short, DEFAULT_GENERATING, allow_unknown=allow_unknown)
        if samples is None:
            require_one_result(chain, "say samples={number} for a list of them")
        wanted, ends = chain.results(samples), tuple(listed(stop, "stop"))
        unseen = Unseen(self.tokenizer, logger.warning)
        requests = (
            Request(unseen.noted(prompt), wanted, max_tokens, ends, seed)
            for prompt in listed(prompts, "prompts")
        )
        each = generate_each(self, requests, chain, batch_size=batch_size, binder=self._binder)
        found = list(shown(each, "prompts", prompts) if progress else each)
        unseen.tell()
        if samples is None:
            first = [_first(each, chain) for each in found]
            return first[0] if isinstance(prompts, str) else first
        lists = _lists(found, wanted, chain)
        return lists[0] if isinstance(prompts, str) else lists

    def stream(
        self,
        prompt: str,
        *,
        max_tokens: int = 500,
        stop: str | Iterable[str] = (),
        seed: int = 0,
        decode: StrategyLike = None,
        filters: FilterLike = (),
        allow_unknown: bool = False,
        **short: Unpack[ShortOptions],
    ) -> Generator[str, None, Generation]:
        """Continue a text and yield it in pieces as soon as they are certain.

        Args:
            prompt: the text.
            max_tokens: this and the rest are as for ``generate``.
            stop: the text ends before the first of these texts.
            seed: of the random numbers.
            decode: the strategy.
            filters: in the order in which they act.
            allow_unknown: the unknown token may be generated.
            short: the short options.

        Returns:
            Pieces whose concatenation is the continuation; the value of the generator itself
            (of ``yield from``) is the ``Generation``. A beam search yields what no later step can
            change. Leaving the loop early ends the search.

        Raises:
            UsageError: as for ``generate``.
        """
        check_keywords(self.stream, short)
        use_threads_of_this_process()
        chain = make_chain(decode, filters, short, DEFAULT_GENERATING, allow_unknown=allow_unknown)
        require_one_result(chain, "a stream is one")
        self._binder(chain)  # errors are raised here, not at the first piece
        unseen = Unseen(self.tokenizer, logger.warning)
        (text,) = map(unseen.noted, listed([prompt], "prompt"))
        unseen.tell()
        request = Request(text, 1, max_tokens, tuple(listed(stop, "stop")), seed)

        def run(tell: Callable[[str], None]) -> Generation:
            on_text: OnText = lambda _, text: tell(without_surrogates(text))  # noqa: E731
            each = generate_each(self, [request], chain, on_text=on_text, binder=self._binder)
            return _first(next(each), chain)

        return streamed_text(run)

    def perplexity(
        self,
        text: str | Path | TextSource,
        *,
        held_out: bool = False,
        column: str | None = None,
        encoding: str | None = None,
        processes: int | None = None,
        progress: bool = False,
    ) -> Perplexity:
        """Measure how well the model foretells a text.

        Args:
            text: a file or folder, as for ``textgen.open_text``, or a source of text; a text in
                memory is ``textgen.Texts([text])``.
            held_out: only the part of it that the training held out.
            column: of a table.
            encoding: of the file; None is UTF-8, for a model of bytes bytes of any kind.
            processes: that read the lines in the place of this one, for a model of lines.
            progress: show how much of it is done.

        Raises:
            UsageError: if there is no such file, if nothing of this text was held out, or if
                processes are asked for and the model reads a text as one stream.
            DataError: if the text is empty or cannot be read.
        """
        from textgen.evaluation.perplexity import perplexity
        from textgen.loaded.pools import scoring_work, worker_crew

        use_threads_of_this_process()
        source = opened(text, column, encoding or (RAW if self.tokenizer.kind == "bytes" else UTF8))
        with (
            worker_crew(functools.partial(scoring_work, self), processes) as pool,
            counting("tokens") if progress else contextlib.nullcontext() as show,
        ):
            return perplexity(self, source, held_out=held_out, progress=show, pool=pool)

    evaluate = perplexity


def _lists(found: list[list[Generation]], wanted: int, chain: Chain) -> list[list[Generation]]:
    """Samples of each prompt; warns where there are fewer than wanted."""
    with Shortfall("prompts", logger.warning) as shortfall:
        for texts in found:
            shortfall.note(len(texts), wanted, chain.name)
    return list(map(Samples, found))


def _first(found: list[Generation], chain: Chain) -> Generation:
    """The best continuation of a prompt."""
    if not found:
        raise TextgenError(f"{chain.name} found no text.")
    return found[0]
