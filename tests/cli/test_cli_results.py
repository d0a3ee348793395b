"""As many results as were asked for: in text, JSON and requests, of both commands that decode."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from small_models import save_language_model, save_translator
from textgen.cli.failures import guarded


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_language_model(folder / "lm")
    save_translator(folder / "mt")
    return folder


@pytest.fixture(autouse=True)
def _folder(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models)


def run(
    capsys: pytest.CaptureFixture[str], *arguments: str, text: str = ""
) -> tuple[int, list[str], str]:
    """The exit code, the lines of stdout, and stderr."""
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(text.encode()))
    try:
        code = guarded(list(arguments))
    finally:
        sys.stdin = before
    shown = capsys.readouterr()
    return code, shown.out.splitlines(), shown.err


def generate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str], str]:
    words = ["generate", "--model", "lm", "--prompt", "To", "--max-tokens", "6"]
    return run(capsys, *words, "--filter", 'banned:["\\n"]', *arguments)


def translate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str], str]:
    return run(capsys, "translate", "--model", "mt", *arguments, text="to be\n\nthe mind\n")


def request(
    capsys: pytest.CaptureFixture[str], command: str, item: dict[str, Any], *more: str
) -> Any:
    model = "lm" if command == "generate" else "mt"
    words = [command, "--model", model, "--jsonl", *more]
    return run(capsys, *words, text=json.dumps(item) + "\n")


COUNTS = [
    (("--decode", "beam:width=3,n_best=3"), 3),
    (("--decode", "beam:width=3,n_best=3", "--samples", "3"), 3),
    (("--decode", "stochastic-beam:width=5"), 5),
    (("--beam", "3", "--samples", "2"), 2),
    (("--samples", "4"), 4),
    ((), 1),
]


@pytest.mark.parametrize(("arguments", "count"), COUNTS)
def test_text_and_json_have_as_many_texts_as_were_asked_for(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], count: int
) -> None:
    code, lines, said = generate(capsys, *arguments)
    assert (code, said) == (0, "")
    headed = [line for line in lines if line.startswith("--- prompt 1, sample ")]
    assert (len(headed), len(lines)) == ((count, 2 * count) if count > 1 else (0, 1))
    written = [json.loads(line)["text"] for line in generate(capsys, *arguments, "--json")[1]]
    texts = [line.removeprefix("To") for line in lines if line not in headed]
    assert texts == written


@pytest.mark.parametrize(
    ("arguments", "found", "name"),
    [
        (("--beam", "2", "--samples", "5"), 2, "2 of 5, found by beam"),
        (("--decode", "greedy", "--samples", "3"), 1, "1 of 3, found by greedy"),
    ],
)
def test_fewer_results_than_asked_for_are_told(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], found: int, name: str
) -> None:
    code, lines, said = generate(capsys, *arguments)
    assert (code, len(lines)) == (0, 2 * found)
    assert f"1 of 1 prompts got fewer results than asked for; the first {name}." in said
    item = {"prompt": "To", "max_tokens": 6, "decode": "greedy", "samples": 3}
    code, lines, said = request(capsys, "generate", item)
    assert (code, len(lines)) == (0, 1)
    assert "1 of 1 requests got fewer results than asked for; the first 1 of 3" in said
    text = f"{json.dumps(item)}\nno request\n"
    code, lines, said = run(capsys, "generate", "--model", "lm", "--jsonl", text=text)
    assert (code, len(lines)) == (1, 2)
    assert "1 of 1 requests got fewer results" in said


def test_translations_are_lists_where_several_are_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, lines, said = translate(capsys, "--decode", "beam:width=3,n_best=2")
    assert (code, said) == (0, "")
    assert [line.split(" ||| ")[0] for line in lines] == ["0", "0", "1", "2", "2"]
    assert lines == translate(capsys, "--beam", "3", "--n-best", "2")[1]
    assert len(translate(capsys)[1]) == 3
    code, lines, said = translate(capsys, "--decode", "greedy", "--n-best", "2")
    assert (code, len(lines)) == (0, 3)
    assert "2 of 2 lines got fewer results than asked for; the first 1 of 2" in said


@pytest.mark.parametrize("command", ["generate", "translate"])
def test_two_numbers_of_results_are_refused(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    option = {"generate": "--samples", "translate": "--n-best"}[command]
    call = {"generate": generate, "translate": translate}[command]
    for decode, own in (("stochastic-beam:width=5", 5), ("beam:n_best=3", 3), ("mbr:n_best=2", 2)):
        code, lines, said = call(capsys, "--decode", decode, option, "1")
        assert (code, lines) == (2, [])
        assert f"gives {own} results by its own options, but 1 are asked for beside it" in said
    key = option.strip("-").replace("-", "_")
    item = {"prompt": "a"} if command == "generate" else {"source": "to be"}
    code, lines, _ = request(capsys, command, {**item, "decode": "beam:n_best=3", key: 1})
    assert code == 1
    assert "but 1 are asked for beside it" in json.loads(lines[0])["error"]
    own = {**item, "decode": "beam:width=3,n_best=3"}
    code, lines, _ = request(capsys, command, own, option, "2")
    found = lines if command == "generate" else json.loads(lines[0])["candidates"]
    assert (code, len(found)) == (0, 3), "a request's own number goes before the command's"


DOUBLES = [
    (("--temperature", "0.7", "--decode", "temperature:0.9"), "temperature"),
    (("--temperature", "0.7", "--filter", "temperature:t=0.9"), "temperature"),
    (("--top-k", "3", "--filter", "top_k:4"), "top-k"),
    (("--top-k", "0", "--filter", "top-k:4"), "top-k"),
    (("--top-p", "0.5", "--filter", "top-p:0.5"), "nucleus"),
    (("--top-p", "0.5", "--decode", "nucleus:0.5"), "nucleus"),
    (("--min-p", "0.1", "--filter", "min-p:0.2"), "min-p"),
    (("--repetition-penalty", "1.1", "--filter", "repetition-penalty:1.2"), "repetition-penalty"),
]


@pytest.mark.parametrize(("arguments", "name"), DOUBLES)
def test_a_filter_named_by_short_and_long_form_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], name: str
) -> None:
    for call in (generate, translate):
        code, lines, said = call(capsys, *arguments)
        assert (code, lines) == (2, [])
        assert f"{arguments[0]} {arguments[1]} and " in said
        assert f"both set the filter {name}: use one of them." in said


@pytest.mark.parametrize(
    ("command", "own"),
    [
        (("--decode", "temperature:0.9"), {"temperature": 0.5}),
        (("--filter", "temperature:0.9"), {"temperature": 0.5}),
        (("--temperature", "0.9"), {"filters": ["temperature:0.5"]}),
        (("--temperature", "0.9"), {"decode": "temperature:0.5"}),
    ],
)
def test_a_request_s_own_filter_takes_the_place_of_the_command_s(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...], own: dict[str, Any]
) -> None:
    code, lines, _ = request(capsys, "generate", {"prompt": "a", "max_tokens": 2, **own}, *command)
    assert code == 0
    assert json.loads(lines[0])["decode"] == "temperature:t=0.5 | sample"


def test_a_minimum_length_holds_stops_back(capsys: pytest.CaptureFixture[str]) -> None:
    (plain,) = generate(capsys, "--decode", "greedy")[1]
    stop = ("--stop", plain[2])
    assert generate(capsys, "--decode", "greedy", *stop)[1] == ["To"]
    for least in (1, 4):
        long = ("--filter", f"minimum-length:{least}", "--decode", "greedy", *stop)
        (found,) = generate(capsys, *long)[1]
        again = plain.find(plain[2], 2 + least)
        assert found == (plain if again < 0 else plain[:again])
