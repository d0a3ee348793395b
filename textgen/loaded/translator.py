"""A translator with its verbs: translate, stream, evaluate."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack, overload

from numpy.typing import NDArray

from textgen.arguments import listed
from textgen.data.vectors import sources
from textgen.decoding.random import check_seed
from textgen.errors import UsageError
from textgen.evaluation.report import TranslationReport, translate_and_score
from textgen.loaded.base import (
    UsableModel,
    require_one_result,
    shown,
    streamed_text,
    use_threads_of_this_process,
)
from textgen.loaded.keywords import (
    FilterLike,
    StrategyLike,
    TranslateKeywords,
    check_keywords,
)
from textgen.loaded.pools import chain_maker, translating_work, worker_crew
from textgen.log import logger
from textgen.progress import counting
from textgen.short_options import ShortOptions
from textgen.shortfall import Shortfall
from textgen.translation import (
    Candidate,
    MaxLength,
    SourceLine,
    Translation,
    TranslationOptions,
    translate,
    translate_streaming,
    word_links,
)
from textgen.translation import replace_unknown as replaced
from textgen.workers.cores import default_threads

if TYPE_CHECKING:
    from textgen.models.ensemble import Ensemble
    from textgen.models.translator import Translator
    from textgen.recipes import TranslatorRecipe


@dataclass(frozen=True, repr=False)
class LoadedTranslator(UsableModel):
    """A translator, or an ensemble of several."""

    if TYPE_CHECKING:
        model: Translator | Ensemble
        recipe: TranslatorRecipe

    @overload
    def translate(  # type: ignore[overload-overlap]  # a text is a line, not its characters
        self, lines: str | NDArray[Any], **keywords: Unpack[TranslateKeywords]
    ) -> Translation: ...
    @overload
    def translate(
        self, lines: Iterable[str | NDArray[Any]], **keywords: Unpack[TranslateKeywords]
    ) -> list[Translation]: ...
    def translate(
        self,
        lines: str | NDArray[Any] | Iterable[str | NDArray[Any]],
        *,
        decode: StrategyLike = None,
        filters: FilterLike = (),
        n_best: int | None = None,
        prefixes: str | Iterable[str] | None = None,
        attention: bool = False,
        replace_unknown: bool | Mapping[str, str] = False,
        max_length: str | int | MaxLength | None = None,
        max_source: int = 1000,
        shortlist: int | None = None,
        seed: int = 0,
        allow_unknown: bool = False,
        batch_tokens: int = 1024,
        window: int = 1024,
        threads: int | None = None,
        processes: int | None = None,
        progress: bool = False,
        **short: Unpack[ShortOptions],
    ) -> Translation | list[Translation]:
        """Translate a line, or each of several.

        A blank line gives an empty translation. For an endless input there is
        ``textgen.translate``.

        Args:
            lines: one line or several; vectors (S, D), or a list of such arrays, for a model that
                reads them.
            decode: the strategy: the SPEC of ``--decode``, or a ``Strategy``; None: a beam search
                of width 5.
            filters: SPECs of ``--filter``, or ``Filter`` callables; one or several.
            n_best: translations of each line, its ``candidates``, best first; None: as many as
                the strategy's own options name, or one.
            prefixes: a forced beginning of each translation, "" for none.
            attention: keep the attention, for ``word_links`` and for notebooks.
            replace_unknown: put the source word that it attends to in the place of an unknown
                word; a mapping translates it first.
            max_length: most tokens of a translation: ``"2x+10"`` of its source's, or a number;
                None: from the training pairs.
            max_source: source tokens after which a line is cut.
            shortlist: look only at so many likely target tokens of each source token; needs a
                lexicon (``textgen.learn_lexicon``).
            seed: of the random numbers.
            allow_unknown: the unknown token may be generated.
            batch_tokens: source tokens decoded at once.
            window: most lines that are read ahead and grouped by length.
            threads: that translate at once, on the CPU; None: as many as there are cores, up to 8.
            processes: that translate in the place of this one, each with the model; they start in
                some seconds, and plugins given as objects must be picklable.
            progress: show how many lines are done.
            short: the short options of the command line (``textgen.short_options.ShortOptions``),
                such as temperature, top_p and beam.

        Returns:
            For one line its translation, for several a list.

        Raises:
            UsageError: if a plugin is unknown or does not suit the model, if two strategies are
                named, if a filter is named by its short option and by its SPEC, or if there are
                fewer prefixes than lines.
            CheckpointError: if shortlists are asked for and the model has no lexicon that fits.
        """
        check_keywords(self.translate, short)
        wanted: Any = sources(lines)
        use_threads_of_this_process()
        make = chain_maker(decode, filters, short, allow_unknown=allow_unknown)
        chain = make()
        options = TranslationOptions(
            candidates=chain.results(n_best),
            batch_tokens=batch_tokens,
            window=window,
            max_source=max_source,
            max_length=_max_length(max_length),
            attention=attention or replace_unknown is not False,
            seed=check_seed(seed),
            workers=1 if isinstance(wanted, str) else threads or default_threads(),
            shortlist=shortlist,
            allow_unknown=allow_unknown or replace_unknown is not False,
        )
        forced = None if prefixes is None else listed(prefixes, "prefixes")
        given = listed(wanted, "lines")
        with (
            worker_crew(
                functools.partial(translating_work, self, make, options), processes
            ) as pool,
            contextlib.closing(
                translate(self, given, chain, options, prefixes=forced, pool=pool)
            ) as translations,
        ):
            found = list(shown(translations, "lines", wanted) if progress else translations)
        if replace_unknown is not False:
            words = {} if replace_unknown is True else replace_unknown
            found = [self._with_words(each, words) for each in found]
        _warn_of_fewer(found, chain.results(n_best), chain.name)
        return found[0] if isinstance(wanted, str) else found

    def stream(
        self,
        line: str,
        *,
        decode: StrategyLike = None,
        filters: FilterLike = (),
        prefix: str = "",
        max_length: str | int | MaxLength | None = None,
        max_source: int = 1000,
        seed: int = 0,
        allow_unknown: bool = False,
        **short: Unpack[ShortOptions],
    ) -> Generator[str, None, Translation]:
        """Translate a line and yield the translation in pieces as soon as they are certain.

        Args:
            line: to translate.
            decode: this and the rest are as for ``translate``.
            filters: in the order in which they act.
            prefix: the forced beginning.
            max_length: most tokens of the translation.
            max_source: source tokens after which the line is cut.
            seed: of the random numbers.
            allow_unknown: the unknown token may be generated.
            short: the short options.

        Returns:
            Pieces whose concatenation is the translation; the value of the generator itself (of
            ``yield from``) is the ``Translation``. Leaving the loop early ends the search.

        Raises:
            UsageError: as for ``translate``, or if the strategy gives several results.
        """
        check_keywords(self.stream, short)
        use_threads_of_this_process()
        chain = chain_maker(decode, filters, short, allow_unknown=allow_unknown)()
        require_one_result(chain, "a stream is one")
        self._binder(chain)  # errors are raised here, not at the first piece
        options = TranslationOptions(
            max_source=max_source,
            max_length=_max_length(max_length),
            seed=check_seed(seed),
            allow_unknown=allow_unknown,
        )
        (text,) = listed([line], "line")

        def run(tell: Callable[[str], None]) -> Translation:
            return translate_streaming(
                self, SourceLine(text, prefix), chain, options, tell, binder=self._binder
            )

        return streamed_text(run)

    def word_links(
        self, translation: Translation, candidate: Candidate | None = None
    ) -> frozenset[tuple[int, int]]:
        """Which source word each target word attends to most.

        Args:
            translation: made with ``attention=True``.
            candidate: one of its candidates; None: the best.

        Returns:
            Pairs (number of the source word, number of the target word), from 0.

        Raises:
            UsageError: if the model has no attention, or it was not kept.
        """
        return word_links(self, translation, candidate or translation.candidates[0])

    def evaluate(
        self,
        lines: Iterable[str],
        references: Sequence[str] | Sequence[Sequence[str]],
        *,
        decode: StrategyLike = None,
        filters: FilterLike = (),
        tokenizer: str = "13a",
        max_length: str | int | MaxLength | None = None,
        seed: int = 0,
        allow_unknown: bool = False,
        threads: int | None = None,
        processes: int | None = None,
        progress: bool = False,
        **short: Unpack[ShortOptions],
    ) -> TranslationReport:
        """Translate lines and score the translations with BLEU, chrF and TER (sacreBLEU's).

        Args:
            lines: to translate.
            references: the right translation of each line; or several such lists.
            decode: this and the next as for ``translate``.
            filters: in the order in which they act.
            tokenizer: of BLEU.
            max_length: as for ``translate``.
            seed: of the random numbers.
            allow_unknown: the unknown token may be generated.
            threads: as for ``translate``.
            processes: as for ``translate``.
            progress: show how many lines are done.
            short: the short options.

        Raises:
            DataError: if the numbers of lines differ, or there is none.
            UsageError: as for ``translate``, or for an unknown tokenizer.
        """
        check_keywords(self.evaluate, short)
        use_threads_of_this_process()
        make = chain_maker(decode, filters, short, allow_unknown=allow_unknown)
        options = TranslationOptions(
            max_length=_max_length(max_length),
            seed=check_seed(seed),
            workers=threads or default_threads(),
            allow_unknown=allow_unknown,
        )
        known = _references(references)
        with (
            worker_crew(
                functools.partial(translating_work, self, make, options), processes
            ) as pool,
            counting("lines") if progress else contextlib.nullcontext() as show,
        ):
            return translate_and_score(
                self,
                list(listed(lines, "lines")),
                known,
                make(),
                options,
                pool=pool,
                tokenizer=tokenizer,
                progress=show,
            )

    def _with_words(self, translation: Translation, words: Mapping[str, str]) -> Translation:
        """A translation whose unknown words were replaced."""
        candidates = tuple(
            dataclasses.replace(each, text=replaced(self, translation, each, words))
            for each in translation.candidates
        )
        return dataclasses.replace(translation, candidates=candidates)


def _warn_of_fewer(found: list[Translation], wanted: int, strategy: str) -> None:
    with Shortfall("lines", logger.warning) as shortfall:
        for each in found:
            if each.source_tokens:
                shortfall.note(len(each.candidates), wanted, strategy)


def _max_length(given: str | int | MaxLength | None) -> MaxLength | None:
    """A limit as people give it.

    Raises:
        UsageError: if it is not understood.
    """
    if given is None or isinstance(given, MaxLength):
        return given
    return MaxLength.parse(str(given))


def _references(given: Sequence[str] | Sequence[Sequence[str]]) -> list[list[str]]:
    """Reference texts as a list of each text's lines.

    Raises:
        UsageError: if a text is given in place of a list.
    """
    if isinstance(given, str):
        raise UsageError("references: expected a list of texts, got one text.")
    texts = list(given)
    if all(isinstance(each, str) for each in texts):
        return [[str(each) for each in texts]]
    return [list(listed(text, "references")) for text in texts]
