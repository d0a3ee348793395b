"""A classifier with its verbs: predict, evaluate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from numpy.typing import NDArray

from textgen.arguments import listed
from textgen.classification import THRESHOLD, Prediction, classify, labels_of
from textgen.data.labelled import open_labelled
from textgen.data.parallel import PairTexts, ParallelSource
from textgen.data.vectors import sources
from textgen.errors import DataError, UsageError
from textgen.loaded.base import UsableModel, shown, use_threads_of_this_process

if TYPE_CHECKING:
    from textgen.evaluation.classification import ClassificationReport
    from textgen.evidence import Evidence
    from textgen.models.classifier import Classifier
    from textgen.recipes import ClassifierRecipe


@dataclass(frozen=True, repr=False)
class LoadedClassifier(UsableModel):
    """A classifier of texts."""

    if TYPE_CHECKING:
        model: Classifier
        recipe: ClassifierRecipe

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in the order of their numbers."""
        return labels_of(self).labels

    @overload
    def predict(  # type: ignore[overload-overlap]  # a text is a text, not its characters
        self,
        texts: str | NDArray[Any],
        *,
        threshold: float = THRESHOLD,
        batch_size: int = 64,
        progress: bool = False,
    ) -> Prediction: ...
    @overload
    def predict(
        self,
        texts: Iterable[str | NDArray[Any]],
        *,
        threshold: float = THRESHOLD,
        batch_size: int = 64,
        progress: bool = False,
    ) -> list[Prediction]: ...
    def predict(
        self,
        texts: str | NDArray[Any] | Iterable[str | NDArray[Any]],
        *,
        threshold: float = THRESHOLD,
        batch_size: int = 64,
        progress: bool = False,
    ) -> Prediction | list[Prediction]:
        """Predict the label of a text, or of each of several.

        Args:
            texts: one text or several; vectors (S, D), or a list of such arrays, for a model that
                reads them.
            threshold: least probability of a predicted label, of a model with several labels for
                each text.
            batch_size: texts that are read at once.
            progress: show how many texts are done.

        Returns:
            For one text its prediction, for several a list.
        """
        use_threads_of_this_process()
        given: Any = sources(texts)
        each = classify(self, listed(given, "texts"), batch_size=batch_size, threshold=threshold)
        found = list(shown(each, "texts", given) if progress else each)
        return found[0] if isinstance(given, str) else found

    def evidence(self, text: str, label: str | None = None) -> Evidence:
        """Which tokens of a text decided: weights of the pooling, or the filters' maxima.

        Args:
            text: one text.
            label: whose evidence; None: the likeliest.

        Raises:
            UsageError: if the model has neither attention pooling nor a convolution, or the text
                is empty.
            DataError: if there is no such label.
        """
        from textgen.evidence import evidence

        if label is None:
            probabilities = self.predict(text).probabilities
            if not probabilities:
                raise UsageError("The text has no tokens.")
            label = probabilities[0][0]
        return evidence(self, text, label)

    def evaluate(
        self,
        texts: str | Path | ParallelSource | Iterable[str],
        labels: Iterable[str] | None = None,
        *,
        text: str = "text",
        label: str = "label",
    ) -> ClassificationReport:
        """Predict the labels of texts whose labels are known, and score the predictions.

        Args:
            texts: a table or a folder with one folder for each label; or texts.
            labels: of the texts, where these are given themselves.
            text: column of the texts in a table.
            label: column of the labels.

        Raises:
            DataError: if the data cannot be read, numbers differ, or a label is unknown.
        """
        from textgen.evaluation.classification import evaluate_classifier

        use_threads_of_this_process()
        if labels is not None:
            both = list(listed(texts, "texts")), list(listed(labels, "labels"))  # type: ignore[arg-type]
            if len(both[0]) != len(both[1]):
                raise DataError(f"{len(both[0])} texts were given with {len(both[1])} labels.")
            return evaluate_classifier(self, PairTexts(list(zip(*both, strict=True)), "texts"))
        if isinstance(texts, str | Path):
            separator = self.recipe.data.separator
            source = open_labelled([texts], text=text, label=label, separator=separator)
            return evaluate_classifier(self, source)
        return evaluate_classifier(self, texts)  # type: ignore[arg-type]
