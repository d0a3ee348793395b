"""What results and models show of themselves, and hints where a method is another kind's."""

from __future__ import annotations

from pathlib import Path

import pytest

import textgen


@pytest.fixture(scope="module")
def mt() -> textgen.LoadedTranslator:
    return textgen.load("dates", device="cpu")


def test_a_report_is_its_scores(mt: textgen.LoadedTranslator) -> None:
    report = mt.evaluate(["3 May 2021"], ["2021 05 03"])
    assert (report.bleu, report.chrf, report.ter) == (0.0, 100.0, 0.0)
    assert repr(report) == (
        "TranslationReport(BLEU 0.00, chrF2 100.00, TER 0.00, exact 100.00% of 1 lines)"
    )


def test_given_pairs_are_shown_short(mt: textgen.LoadedTranslator) -> None:
    pairs = [("3 May 2021", "2021 05 03")]
    (given,) = textgen.score_given(mt, pairs)
    assert repr(given).startswith("GivenTranslation('3 May 2021' -> '2021 05 03', log_prob=-0.")
    (aligned,) = textgen.align(mt, pairs)
    assert repr(aligned).startswith("AlignedPair('3 May 2021' -> '2021 05 03', log_prob=-0.")
    assert aligned._repr_html_().count("<td") == aligned.attention.size


def test_word_links(mt: textgen.LoadedTranslator) -> None:
    found = mt.translate("3 May 2021", attention=True, n_best=2)
    assert (
        mt.word_links(found)
        == mt.word_links(found, found.candidates[0])
        == {(0, 2), (1, 1), (2, 0)}
    )
    with pytest.raises(textgen.UsageError, match="there is nothing to align by"):
        mt.word_links(mt.translate("3 May 2021"))


def test_a_method_of_another_kind_is_explained(mt: textgen.LoadedTranslator) -> None:
    with pytest.raises(AttributeError, match=r"dates is a translator, with the methods"):
        mt.generate("A")  # type: ignore[attr-defined]
    lm = textgen.load("shakespeare")
    with pytest.raises(AttributeError, match=r"methods .*generate, perplexity.* stream"):
        lm.translate("A")  # type: ignore[attr-defined]
    assert not hasattr(lm, "_repr_html_")


def test_sources_by_name_and_path(tmp_path: Path) -> None:
    assert textgen.open_corpus("python-reference").train.name
    with pytest.raises(textgen.DataError, match="holds pairs of sentences"):
        textgen.open_corpus("dates")
    table = tmp_path / "pairs.csv"
    table.write_text("en,de\na,b\n", encoding="utf-8")
    assert list(textgen.PairTable(str(table), "en", "de").pairs()) == [("a", "b")]
    (tmp_path / "a").write_text("a\n", encoding="utf-8")
    assert list(textgen.PairFiles(str(tmp_path / "a"), tmp_path / "a").pairs()) == [("a", "a")]
