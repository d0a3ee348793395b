"""A tagger with its verbs: predict, evaluate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

from textgen.arguments import text_of, texts
from textgen.data.parallel import ParallelSource
from textgen.data.tagged import open_tagged, usual_column
from textgen.errors import UsageError
from textgen.loaded.base import UsableModel, shown, use_threads_of_this_process
from textgen.tagging import TaggedSentence, tag, tags_of

if TYPE_CHECKING:
    from textgen.evaluation.tagging import TaggingReport
    from textgen.models.tagger import Tagger
    from textgen.recipes import TaggerRecipe


@dataclass(frozen=True, repr=False)
class LoadedTagger(UsableModel):
    """A tagger of words."""

    if TYPE_CHECKING:
        model: Tagger
        recipe: TaggerRecipe

    @property
    def tags(self) -> tuple[str, ...]:
        """All tags, in the order of their numbers."""
        return tags_of(self).labels

    @overload
    def predict(  # type: ignore[overload-overlap]  # a text is a text, not its characters
        self, sentences: str, *, n_best: int = 1, batch_size: int = 64, progress: bool = False
    ) -> TaggedSentence: ...
    @overload
    def predict(
        self,
        sentences: Iterable[str | Sequence[str]],
        *,
        n_best: int = 1,
        batch_size: int = 64,
        progress: bool = False,
    ) -> list[TaggedSentence]: ...
    def predict(
        self,
        sentences: str | Iterable[str | Sequence[str]],
        *,
        n_best: int = 1,
        batch_size: int = 64,
        progress: bool = False,
    ) -> TaggedSentence | list[TaggedSentence]:
        """Tag a sentence, or each of several.

        Args:
            sentences: a text, words separated by spaces; or a list whose items are such texts or
                lists of words.
            n_best: likeliest tag sequences of each sentence.
            batch_size: sentences that are read at once.
            progress: show how many sentences are done.

        Returns:
            For one text its tags, for several a list.
        """
        use_threads_of_this_process()
        each = tag(self, _words(sentences), batch_size=batch_size, n_best=n_best)
        found = list(shown(each, "sentences", sentences) if progress else each)
        return found[0] if isinstance(sentences, str) else found

    def evaluate(
        self, sentences: str | Path | ParallelSource, *, column: str | None = None
    ) -> TaggingReport:
        """Tag sentences whose tags are known, and score what is found.

        Args:
            sentences: a file of tagged sentences; see ``textgen.open_tagged``.
            column: of the tags in it; None: that of the training, where the file may have it.

        Raises:
            DataError: if the data cannot be read or do not fit the model.
        """
        from textgen.evaluation.tagging import evaluate_tagger

        use_threads_of_this_process()
        if isinstance(sentences, str | Path):
            column = column or usual_column(sentences, self.recipe.data.column)
            return evaluate_tagger(self, open_tagged([sentences], column=column))
        if not hasattr(sentences, "pairs"):
            raise UsageError(
                "sentences: expected a file of tagged sentences or textgen.open_tagged(...), not "
                f"{type(sentences).__name__}."
            )
        return evaluate_tagger(self, sentences)


def _words(sentences: str | Iterable[str | Sequence[str]]) -> Iterator[list[str]]:
    """The words of each sentence.

    Raises:
        UsageError: if a sentence is neither a text nor a list of texts.
    """
    if not isinstance(sentences, Iterable) or isinstance(sentences, bytes | bytearray | Mapping):
        raise UsageError(f"sentences: expected a text or texts, not {type(sentences).__name__}.")
    given: Iterable[str | Sequence[str]] = texts(sentences)  # type: ignore[arg-type]
    for number, each in enumerate(given, start=1):
        what = f"sentences: number {number}"
        if isinstance(each, str):
            yield text_of(each, what).split()
        elif isinstance(each, Iterable) and not isinstance(each, bytes | bytearray | Mapping):
            yield [text_of(word, f"{what}: a word") for word in each]
        else:
            raise UsageError(f"{what} is no text and no list of words: {type(each).__name__}.")
