"""A loaded translator's verbs: what people type, and that it is what the functions give."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import textgen
from small_models import save_translator
from textgen.loaded.keywords import TranslateKeywords
from textgen.protocols import Beam
from textgen.translation import replace_unknown
from textgen_decoders.top_k import TopK

LINES = ["3 May 2021", "", "the 4th of June 2022"]


@pytest.fixture(scope="module")
def mt() -> textgen.LoadedTranslator:
    return textgen.load("dates", device="cpu")


def test_one_text_gives_one_translation(mt: textgen.LoadedTranslator) -> None:
    found = mt.translate("3 May 2021")
    assert isinstance(found, textgen.Translation)
    assert str(found) == found.text == "2021 05 03"
    assert repr(found).startswith("Translation('3 May 2021' -> '2021 05 03', score=-0.")


def test_lists_give_lists(mt: textgen.LoadedTranslator, capsys: pytest.CaptureFixture[str]) -> None:
    found = mt.translate(LINES, beam=5, progress=True)
    assert list(map(str, found)) == ["2021 05 03", "", "2022 06 04"]
    assert list(map(str, mt.translate(iter(LINES), threads=2))) == list(map(str, found))
    assert mt.translate([]) == []
    assert capsys.readouterr().err == "", "no bar where there is no terminal"


def test_it_is_what_the_function_gives(mt: textgen.LoadedTranslator) -> None:
    chain = textgen.resolve("beam:width=5", [], textgen.default_registries())
    assert list(textgen.translate(mt, LINES, chain)) == mt.translate(LINES)


def test_candidates(mt: textgen.LoadedTranslator) -> None:
    found = mt.translate("3 May 2021", n_best=3)
    assert len(found.candidates) == 3
    assert repr(found).endswith(", 3 candidates)")
    assert repr(found.candidates[0]).startswith("Candidate('2021 05 03', score=")
    own = mt.translate("3 May 2021", decode="beam:width=5,n_best=3")
    assert own == found
    with pytest.raises(textgen.UsageError, match="but 2 are asked for beside it"):
        mt.translate("3 May 2021", n_best=2, decode="beam:n_best=3")


def test_prefixes_and_limits(mt: textgen.LoadedTranslator) -> None:
    assert str(mt.translate("3 May 2021", prefixes="1999")).startswith("1999")
    found = mt.translate(LINES[::2], prefixes=["1999", ""])
    assert [each.text[:4] for each in found] == ["1999", "2022"]
    with pytest.raises(textgen.UsageError, match="1 prefixes and more lines"):
        mt.translate(LINES, prefixes="1999")
    for length in (3, "3", textgen.MaxLength(0, 3)):
        assert len(mt.translate("3 May 2021", max_length=length).candidates[0].tokens) <= 3


def test_attention_comes_with_the_tokens_as_text(mt: textgen.LoadedTranslator) -> None:
    found = mt.translate("3 May 2021", attention=True)
    best = found.candidates[0]
    assert best.attention is not None
    assert best.attention.shape == (len(best.pieces), len(found.source_pieces))
    assert len(best.pieces) == len(best.tokens)
    assert mt.translate("3 May 2021").candidates[0].pieces == ()


def test_unknown_words_are_replaced(tmp_path: Path) -> None:
    save_translator(tmp_path / "one")
    model = textgen.load(tmp_path / "one", kind=textgen.LoadedTranslator)
    unknown = model.tokenizer.special.unknown
    assert unknown is not None

    def unknown_words(log_probs: Tensor, beam: Beam) -> Tensor:
        best = torch.full_like(log_probs, -50.0)
        best[..., unknown if beam.step < 2 else model.tokenizer.special.eos] = 0.0
        return best

    source = "zebras suffer"
    plain = model.translate(
        source, filters=unknown_words, decode="greedy", allow_unknown=True, attention=True
    )
    assert plain.text == "<unk> <unk>"
    copied = model.translate(source, filters=unknown_words, decode="greedy", replace_unknown=True)
    words = {"zebras": "ZEBRAS", "suffer": "SUFFER"}
    named = model.translate(source, filters=unknown_words, decode="greedy", replace_unknown=words)
    assert copied.text == replace_unknown(model, plain, plain.candidates[0], {})
    assert set(copied.text.split()) <= set(source.split())
    assert named.text == copied.text.upper()


@pytest.mark.parametrize("decode", ["greedy", "beam:width=5", "sample", "mbr:n=3"])
@pytest.mark.parametrize("prefix", ["", "19", "2021 05 03"])
def test_a_stream_yields_the_translation_in_pieces(
    mt: textgen.LoadedTranslator, decode: str, prefix: str
) -> None:
    pieces = list(mt.stream("3 May 2021", decode=decode, prefix=prefix))
    assert "".join(pieces) == str(mt.translate("3 May 2021", decode=decode, prefixes=prefix))
    assert all(pieces)
    assert "".join(pieces).startswith(prefix)
    assert len(pieces) > 1 or decode == "mbr:n=3" or prefix == "2021 05 03"


def test_a_stream_of_words_and_of_nothing(tmp_path: Path, mt: textgen.LoadedTranslator) -> None:
    save_translator(tmp_path / "one")
    model = textgen.load(tmp_path / "one", kind=textgen.LoadedTranslator)
    for line in ("to be", "the mind to suffer", " ", ""):
        for prefix in ("", "TO nowhere "):
            whole = model.translate(line, prefixes=prefix, max_length=9)
            assert "".join(model.stream(line, prefix=prefix, max_length=9)) == whole.text
    assert list(mt.stream("")) == []
    with pytest.raises(textgen.UsageError, match=r"beam gives 2 results .* a stream is one"):
        mt.stream("A", decode="beam:n_best=2")


def test_evaluate(mt: textgen.LoadedTranslator) -> None:
    right = ["2021 05 03", "2022 06 04"]
    report = mt.evaluate(LINES[::2], right)
    assert report.exact == 1.0
    assert report.scores.scores["chrf"].score == pytest.approx(100)
    assert report.translations == right
    assert mt.evaluate(LINES[::2], [right, right], beam=2).exact == 1.0
    with pytest.raises(textgen.UsageError, match="expected a list of texts, got one text"):
        mt.evaluate(["3 May 2021"], "2021 05 03")
    with pytest.raises(textgen.DataError, match="2 lines to translate, but 1 references"):
        mt.evaluate(LINES[::2], right[:1])


def test_other_processes_translate(mt: textgen.LoadedTranslator) -> None:
    here = mt.translate(LINES * 2, filters=["top-k:9"], decode="beam:width=2", n_best=2)
    options: TranslateKeywords = {"filters": iter([TopK(9)]), "decode": "beam:width=2"}
    assert mt.translate(LINES * 2, n_best=2, processes=1, **options) == here
    with pytest.raises(textgen.UsageError, match="0 processes are asked for"):
        mt.translate(LINES, processes=0)
    with pytest.raises(textgen.UsageError, match=r"cannot be sent to other processes .*lambda"):
        mt.evaluate(LINES, LINES, processes=2, filters=lambda log_probs, _: log_probs)


def test_wrong_arguments_are_told(mt: textgen.LoadedTranslator) -> None:
    with pytest.raises(TypeError, match=r"translate\(\) has no keyword .* mean 'n_best'"):
        mt.translate("A", nbest=3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"evaluate\(\) has no keyword .* mean 'tokenizer'"):
        mt.evaluate([], [], tokeniser="13a")  # type: ignore[call-arg]
    with pytest.raises(textgen.UsageError, match="--beam 3 name two strategies"):
        mt.translate("A", beam=3, decode="greedy")
    with pytest.raises(textgen.UsageError, match="lines: expected a text or texts, not int"):
        mt.translate(3)  # type: ignore[call-overload]
