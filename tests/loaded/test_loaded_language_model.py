"""A loaded language model's verbs: what people type, and that it is what the functions give."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from torch import Tensor

import textgen
from small_models import save_language_model
from textgen.cli.failures import guarded
from textgen.protocols import Beam
from textgen_decoders.beam import BeamSearch
from textgen_decoders.temperature import Temperature


@pytest.fixture(scope="module")
def lm() -> textgen.LoadedLanguageModel:
    return textgen.load("shakespeare", device="cpu")


def test_one_prompt_gives_one_generation(lm: textgen.LoadedLanguageModel) -> None:
    found = lm.generate("ROMEO:", temperature=0.8, top_p=0.9, max_tokens=30, seed=7)
    assert isinstance(found, textgen.Generation)
    assert str(found) == found.text == "".join(found.pieces)
    assert len(found.tokens) == len(found.pieces) == len(found.token_log_probs) == 30
    assert sum(found.token_log_probs) == pytest.approx(found.log_prob, abs=1e-3)
    assert repr(found).startswith(f"Generation({found.text!r}, 30 tokens, log_prob=-")


def test_it_is_what_the_command_line_gives(
    lm: textgen.LoadedLanguageModel, capsys: pytest.CaptureFixture[str]
) -> None:
    found = lm.generate("ROMEO:", temperature=0.8, top_p=0.9, max_tokens=30, seed=7)
    words = ["--temperature", "0.8", "--top-p", "0.9", "--max-tokens", "30", "--seed", "7"]
    command = ["generate", "--model", "shakespeare", "--prompt", "ROMEO:", "--device", "cpu"]
    assert guarded([*command, *words]) == 0
    assert capsys.readouterr().out == f"ROMEO:{found}\n"


def test_lists_and_samples_decide_the_form(lm: textgen.LoadedLanguageModel) -> None:
    prompts = ["ROMEO:", "JULIET:"]
    alone = [str(each) for each in lm.generate(prompts, max_tokens=5)]
    drawn = lm.generate(prompts, samples=3, max_tokens=5)
    assert [len(each) for each in drawn] == [3, 3]
    assert [str(each[0]) for each in drawn] == alone
    first = lm.generate("ROMEO:", samples=3, max_tokens=5)
    assert list(map(str, first)) == list(map(str, drawn[0]))
    assert [len(each) for each in lm.generate(iter(prompts), samples=1, max_tokens=1)] == [1, 1]
    assert lm.generate([], max_tokens=5) == []


def test_several_results_of_the_strategy_s_own_options_need_samples(
    lm: textgen.LoadedLanguageModel,
) -> None:
    spec = "beam:width=3,n_best=3"
    with pytest.raises(textgen.UsageError, match="say samples=3 for a list of them"):
        lm.generate("A", decode=spec)
    with pytest.raises(textgen.UsageError, match="but 2 are asked for beside it"):
        lm.generate("A", decode=spec, samples=2)
    assert len(lm.generate("A", decode=spec, samples=3, max_tokens=3)) == 3


def test_words_of_the_command_line_and_plugins_mean_the_same(
    lm: textgen.LoadedLanguageModel,
) -> None:
    beam = str(lm.generate("The ", decode="beam:width=3", max_tokens=9))
    assert str(lm.generate("The ", beam=3, max_tokens=9)) == beam
    assert str(lm.generate("The ", decode=BeamSearch(3), max_tokens=9)) == beam
    cold = str(lm.generate("The ", filters="temperature:0.3", max_tokens=9))
    for filters in (["temperature:0.3"], Temperature(0.3), [Temperature(0.3)]):
        assert str(lm.generate("The ", filters=filters, max_tokens=9)) == cold


def test_progress_is_a_bar_on_a_terminal(
    lm: textgen.LoadedLanguageModel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = lm.generate(["A", "B"], max_tokens=2, progress=True)
    assert capsys.readouterr() == ("", ""), "nothing where there is no terminal"
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    assert lm.generate(["A", "B"], max_tokens=2, progress=True) == found
    assert "2 of 2 prompts" in terminal.getvalue()


def test_stop_texts(lm: textgen.LoadedLanguageModel) -> None:
    whole = lm.generate("ROMEO:", max_tokens=200)
    cut = lm.generate("ROMEO:", max_tokens=200, stop=" ")
    assert cut.text == whole.text[: whole.text.index(" ")] == "".join(cut.pieces)
    assert cut.finished == "stop"
    assert len(cut.pieces) == len(cut.tokens)
    with pytest.raises(textgen.UsageError, match="an empty text would stop at once"):
        lm.generate("ROMEO:", stop=["a", ""])


@pytest.mark.parametrize("decode", ["sample", "beam:width=5"])
def test_a_stream_yields_the_text_in_pieces(lm: textgen.LoadedLanguageModel, decode: str) -> None:
    pieces = list(lm.stream("ROMEO:", decode=decode, max_tokens=30, stop="?"))
    whole = lm.generate("ROMEO:", decode=decode, max_tokens=30, stop="?")
    assert "".join(pieces) == whole.text
    assert len(pieces) > 5
    assert all(pieces)


def test_a_stream_ends_with_the_generation(lm: textgen.LoadedLanguageModel) -> None:
    ends = []

    def whole() -> Generator[str, None, None]:
        ends.append((yield from lm.stream("ROMEO:", max_tokens=4)))

    pieces = list(whole())
    assert ends == [lm.generate("ROMEO:", max_tokens=4)]
    assert len(pieces) == 4


def test_leaving_a_stream_ends_its_search(lm: textgen.LoadedLanguageModel) -> None:
    before = threading.active_count()
    stream = lm.stream("ROMEO:", max_tokens=10**6)
    next(stream)
    stream.close()
    assert threading.active_count() == before


def test_a_plugin_that_fails_in_a_stream_is_named(lm: textgen.LoadedLanguageModel) -> None:
    def late(log_probs: Tensor, beam: Beam) -> Tensor:
        if beam.step == 3:
            raise ValueError("too late")
        return log_probs

    stream = lm.stream("ROMEO:", filters=late, max_tokens=9)
    assert len([next(stream), next(stream), next(stream)]) == 3
    with pytest.raises(textgen.PluginError, match="too late"):
        list(stream)


def test_a_stream_tells_what_is_wrong_at_once(lm: textgen.LoadedLanguageModel) -> None:
    with pytest.raises(textgen.UsageError, match="both set the filter temperature"):
        lm.stream("A", temperature=0.5, filters="temperature:0.7")
    with pytest.raises(textgen.UsageError, match="out of range"):
        lm.stream("A", seed=-1)


def test_wrong_arguments_are_told(lm: textgen.LoadedLanguageModel) -> None:
    with pytest.raises(TypeError, match=r"generate\(\) has no keyword .* mean 'temperature'"):
        lm.generate("A", temprature=0.5)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"stream\(\) has no keyword .* mean 'max_tokens'"):
        lm.stream("A", max_token=5)  # type: ignore[call-arg]
    with pytest.raises(textgen.UsageError, match=r"--temperature 0\.7 and temperature:0\.9 both"):
        lm.generate("A", temperature=0.7, decode="temperature:0.9")
    with pytest.raises(textgen.UsageError, match="--decode greedy and --beam 3 name two"):
        lm.generate("A", beam=3, decode="greedy")
    with pytest.raises(textgen.UsageError, match="prompts: number 2 is no text, but int"):
        lm.generate(["A", 3])  # type: ignore[list-item]


def test_fewer_results_than_asked_for_are_logged(
    lm: textgen.LoadedLanguageModel, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "textgen"):
        found = lm.generate("A", beam=2, samples=5, max_tokens=3)
    assert len(found) == 2
    assert "1 of 1 prompts got fewer results than asked for; the first 2 of 5" in caplog.text


def test_characters_that_the_model_never_saw_are_logged(
    lm: textgen.LoadedLanguageModel, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "textgen"):
        lm.generate(["A€", "B"], max_tokens=1)
        lm.stream("A₤", max_tokens=1)
    assert [each.getMessage() for each in caplog.records] == [
        f"the model never saw the characters '{sign}': it reads them as unknown." for sign in "€₤"
    ]


def test_perplexity_of_files_and_texts(lm: textgen.LoadedLanguageModel, tmp_path: Path) -> None:
    file = tmp_path / "other.txt"
    file.write_text("To be, or not to be", encoding="utf-8")
    memory = lm.perplexity(textgen.Texts([file.read_text(encoding="utf-8")]))
    assert lm.perplexity(str(file)) == lm.perplexity(file) == lm.evaluate(file) == memory
    assert repr(memory).startswith("Perplexity(")
    for text in ("To be, or not to be", "x" * 10_000, "a\0b"):
        with pytest.raises(textgen.UsageError, match=r"given as textgen.Texts\(\[text\]\)"):
            lm.perplexity(text)
    with pytest.raises(textgen.UsageError, match="not int"):
        lm.perplexity(3)  # type: ignore[arg-type]


def test_other_processes_score_lines(lm: textgen.LoadedLanguageModel, tmp_path: Path) -> None:
    lines = save_language_model(tmp_path / "lines", unit="lines")
    model = textgen.load(lines, kind=textgen.LoadedLanguageModel)
    text = textgen.Texts(["To be, or not\nto be\nthat is"])
    alone, together = model.perplexity(text), model.perplexity(text, processes=1)
    assert together.nll == pytest.approx(alone.nll)
    assert together.digest == alone.digest
    with pytest.raises(textgen.UsageError, match="reads a text as one stream"):
        lm.perplexity(text, processes=1)


def test_a_model_of_bytes_streams_and_measures_bytes(tmp_path: Path) -> None:
    save_language_model(tmp_path / "bytes", kind="bytes")
    model = textgen.load(tmp_path / "bytes", kind=textgen.LoadedLanguageModel)
    (tmp_path / "raw").write_bytes(b"\xff\xfe to be \x80")
    assert model.perplexity(tmp_path / "raw").bytes > 0
    whole = model.generate("To", max_tokens=40)
    assert "".join(model.stream("To", max_tokens=40)) == whole.text == "".join(whole.pieces)
