"""Requests as JSON lines: every line its own options, and one answer for each."""

from __future__ import annotations

import io
import itertools
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from small_models import save_language_model, save_translator
from textgen.cli.failures import guarded

Item = dict[str, Any]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_language_model(folder / "lm")
    save_translator(folder / "mt")
    return folder


@pytest.fixture(autouse=True)
def _at_home(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models)


def run(
    capsys: pytest.CaptureFixture[str], *words: str, text: str | bytes = b""
) -> tuple[int, str, str]:
    """The exit code, stdout and stderr."""
    capsys.readouterr()
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(text.encode() if isinstance(text, str) else text))
    try:
        code = guarded([*words, "--device", "cpu"])
    finally:
        sys.stdin = before
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def answers(
    capsys: pytest.CaptureFixture[str], command: str, requests: list[Item], *words: str
) -> list[Item]:
    text = "".join(json.dumps(each) + "\n" for each in requests)
    model = {"generate": "lm", "translate": "mt"}[command]
    code, out, said = run(capsys, command, "--model", model, "--jsonl", *words, text=text)
    assert (code, said) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def same(one: Any, other: Any) -> bool:
    """Equal but for the last digits of numbers, which batches of other shapes may change."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return bool(one == pytest.approx(other, rel=1e-4, abs=1e-5))
    return bool(one == other)


GENERATE: list[Item] = [
    {"prompt": "To be", "max_tokens": 20, "seed": 3},
    {"prompt": "To be", "max_tokens": 20, "seed": 4, "temperature": 0.5, "top_k": 5},
    {"prompt": "", "max_tokens": 9, "seed": 3, "filters": ["xtc:q=0.5,t=0.1"], "stop": "e"},
    {"prompt": "Whether", "decode": "greedy", "max_tokens": 15, "stop": ["th", "in"]},
    {"prompt": "The slings", "beam": 3, "max_tokens": 12},
    {"prompt": "The", "beam": 3, "max_tokens": 7, "filters": ["no-repeat-ngram:2"]},
    {"prompt": "The", "decode": "nucleus:p=0.8", "seed": 8, "max_tokens": 11, "min_p": 0.05},
    {"prompt": "T", "seed": 8, "max_tokens": 11, "repetition_penalty": 1.4, "top_p": 0.9},
    {"prompt": "T", "seed": 8, "max_tokens": 0},
    {"prompt": "T", "seed": 5, "max_tokens": 8, "samples": 3},
]
TRANSLATE: list[Item] = [
    {"source": "To be, or not"},
    {"source": "the mind", "decode": "greedy", "filters": ["minimum-length:n=5"]},
    {"source": "that is the question:", "temperature": 1.5, "seed": 2},
    {"source": "that is the question:", "temperature": 1.5, "seed": 3, "top_k": 4},
    {"source": "  ", "seed": 3},
    {"source": "nobler in the mind", "beam": 3, "n_best": 2, "filters": ["temperature:0.7"]},
    {"source": "nobler in", "beam": 3, "n_best": 2, "repetition_penalty": 1.3},
    {"source": "to suffer", "max_length": "3", "prefix": "THE", "decode": "greedy"},
    {"source": "to suffer", "max_length": 2, "decode": "sample", "seed": 1, "min_p": 0.01},
]
ALL = {"generate": GENERATE, "translate": TRANSLATE}


def plain_words(command: str, request: Item) -> tuple[list[str], str]:
    """The plain command that asks for the same: its options and its stdin."""
    words = [command, "--model", {"generate": "lm", "translate": "mt"}[command], "--json"]
    for key, value in request.items():
        if key in {"source", "prefix"}:
            continue
        name = "--filter" if key == "filters" else f"--{key.replace('_', '-')}"
        for each in value if isinstance(value, list) else [value]:
            words += [name, str(each)]
    if "prefix" in request:
        Path("prefix.txt").write_text(request["prefix"] + "\n", encoding="utf-8")
        words += ["--prefix", "prefix.txt"]
    return words, request.get("source", "") + "\n"


@pytest.mark.parametrize("command", ["generate", "translate"])
def test_each_answer_is_the_plain_command_s(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    found = answers(capsys, command, ALL[command])
    by_line = [list(group) for _, group in itertools.groupby(found, lambda each: each["index"])]
    assert [group[0]["index"] for group in by_line] == list(range(len(ALL[command])))
    for request, group in zip(ALL[command], by_line, strict=True):
        words, text = plain_words(command, request)
        code, out, said = run(capsys, *words, text=text)
        assert (code, said) == (0, "")
        plain = [json.loads(line) for line in out.splitlines()]
        assert len(plain) == len(group) == request.get("samples", 1)
        for one, other in zip(group, plain, strict=True):
            if command == "translate":
                assert one["seed"] == request.get("seed", 0)
            assert same({**one, "index": 0}, other)


@pytest.mark.parametrize("command", ["generate", "translate"])
def test_neither_order_nor_batch_changes_an_answer(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    requests = [{"seed": 0, **each} for each in ALL[command]]
    first = {json.dumps(request): answers(capsys, command, [request]) for request in requests}
    size = {"generate": "--batch-size", "translate": "--batch-tokens"}[command]
    chance = random.Random(5)
    for number in ("2", "6", "100"):
        order = chance.sample(requests, len(requests)) * 2
        found = iter(answers(capsys, command, order, size, number))
        for place, request in enumerate(order):
            for alone in first[json.dumps(request)]:
                assert same({**next(found), "index": 0}, {**alone, "index": 0}), (place, request)
        assert next(found, None) is None


def test_lines_without_a_seed_draw_by_their_number(capsys: pytest.CaptureFixture[str]) -> None:
    found = answers(capsys, "generate", [{"prompt": "To"}] * 3, "--max-tokens", "15", "--seed", "6")
    assert len({each["text"] for each in found}) == 3
    words = ("generate", "--model", "lm", "--prompt", "-", "--json", "--max-tokens", "15")
    out = run(capsys, *words, "--seed", "6", text="To\n" * 3)[1]
    assert [json.loads(line)["text"] for line in out.splitlines()] == [e["text"] for e in found]
    lines = [{"source": "the mind", "decode": "sample"}] * 3
    found = answers(capsys, "translate", lines, "--seed", "6")
    words = ("translate", "--model", "mt", "--decode", "sample", "--seed", "6")
    out = run(capsys, *words, text="the mind\n" * 3)[1]
    assert out.splitlines() == [each["translation"] for each in found]


def test_what_a_request_does_not_say_the_options_say(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--prompt", "Th", "--max-tokens", "6", "--top-k", "3", "--stop", "q", "--beam", "2")
    requests: list[Item] = [
        {},
        {"decode": "sample", "top_k": None},
        {"top_k": 0, "beam": 4},
        {"filters": ["temperature:2"], "decode": "greedy", "prompt": "a", "max_tokens": 2},
    ]
    found = answers(capsys, "generate", requests, *options)
    assert [each["decode"].partition(":")[0] for each in found] == [
        "top-k",
        "top-k",
        "beam",
        "temperature",
    ]
    assert [each["decode"].split(" | ")[-1].split(",")[0] for each in found] == [
        "beam:width=2",
        "sample",
        "beam:width=4",
        "greedy",
    ]
    assert [each["prompt"] for each in found] == ["Th", "Th", "Th", "a"]
    assert [each["tokens"] for each in found][3] == 2
    found = answers(capsys, "translate", [{"source": "the mind"}], "--n-best", "3")
    assert len(found[0]["candidates"]) == 3
    assert found[0]["decode"].startswith("beam:width=5")


WRONG = [
    ("{", "Not JSON: "),
    ("", "Not JSON: "),
    ("[1]", "Expected a JSON object"),
    ("[" * 100_000, "Not JSON: "),
    ("1" * 5000, "Not JSON: "),
    ('{"tempreature": 1}', "Did you mean 'temperature'?"),
    ('{"seed": -1}', "seed: "),
    ('{"temperature": "warm"}', "temperature: "),
    ('{"temperature": NaN}', "temperature: "),
    ('{"temperature": -1}', "filter temperature: t: "),
    ('{"filters": "top-k:3"}', "filters: "),
    ('{"filters": ["top-q:3"]}', "There is no filter 'top-q'"),
    ('{"filters": ["banned:words=[\\"Ω\\"]"]}', "cannot be written with this model's vocabulary"),
    ('{"decode": "nukleus"}', "Did you mean 'nucleus'?"),
    ('{"decode": "greedy", "beam": 3}', "two strategies"),
    ('{"decode": "beam:coverage=0.5"}', "needs a model with attention"),
    ('{"prompt": "\\ud800"}', "surrogate"),
    ('{"stop": ["a", ""]}', "stop: an empty text"),
    ('{"samples": 0}', "samples: "),
    ('{"seed": true}', "seed: a number is needed, got true."),
    ('{"max_tokens": true}', "max_tokens: a number is needed, got true."),
    ('{"temperature": false}', "temperature: a number is needed, got false."),
    ('{"prompt": null}', "prompt: a text is needed, got null."),
    ('{"seed": 1, "top_k": 2, "seed": 3}', "seed: the key is there 2 times."),
    ('{"seed": "radnom"}', "seed: "),
    ('{"max_tokens": -1}', "max_tokens: "),
]


def test_a_wrong_request_gets_an_error_and_the_others_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = json.dumps({"prompt": "T", "seed": 1})
    lines = [line for wrong, _ in WRONG for line in (wrong, good)]
    words = ("generate", "--model", "lm", "--jsonl", "--max-tokens", "5")
    code, out, said = run(capsys, *words, text="\n".join(lines) + "\n")
    assert code == 1
    assert said == f"{len(WRONG)} of {len(lines)} requests got an error for an answer.\n"
    found = [json.loads(line) for line in out.splitlines()]
    assert [each["index"] for each in found] == list(range(len(lines)))
    for (wrong, message), answer in zip(WRONG, found[::2], strict=True):
        assert answer.keys() == {"index", "error"}, wrong
        assert message in answer["error"], wrong
    assert len({each["text"] for each in found[1::2]}) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}", "source: a value is needed"),
        ('{"source": "a", "sorce": "b"}', "Did you mean 'source'?"),
        ('{"source": "a", "max_length": "long"}', "Allowed: 2x+10"),
        ('{"source": "a", "n_best": 0}', "n_best: "),
        ('{"source": ["a"]}', "source: "),
    ],
)
def test_wrong_requests_to_translate(
    capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    text = f'{{"source": "the mind"}}\n{line}\n{{"source": "the mind"}}'
    code, out, _ = run(capsys, "translate", "--model", "mt", "--jsonl", text=text)
    found = [json.loads(each) for each in out.splitlines()]
    assert (code, len(found)) == (1, 3)
    assert message in found[1]["error"]
    assert found[0]["translation"] == found[2]["translation"]


def test_odd_bytes_are_told_and_long_lines_refused(capsys: pytest.CaptureFixture[str]) -> None:
    text = b'{"prompt": "\xff", "max_tokens": 1}\n{"prompt": "' + b"a" * (1 << 20) + b'"}\n'
    code, out, said = run(capsys, "generate", "--model", "lm", "--jsonl", text=text)
    first, second = (json.loads(line) for line in out.splitlines())
    assert code == 1
    assert first["prompt"] == "\ufffd"
    assert second["error"] == "The request is longer than 1 MiB."
    assert "no UTF-8 text, in 1 of the lines" in said
    assert run(capsys, "generate", "--model", "lm", "--jsonl", text=b"")[:2] == (0, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("generate", "--model", "lm", "--jsonl", "--prompt", "-"), "--prompt cannot read it too"),
        (("translate", "--model", "mt", "--jsonl", "--scores"), "--scores is for plain lines"),
        (("translate", "--model", "mt", "--jsonl", "--alignments", "x"), "for plain lines"),
        (("generate", "--model", "lm", "--jsonl", "--decode", "bean"), "Did you mean 'beam'"),
        (("generate", "--model", "mt", "--jsonl"), "use textgen translate"),
        (("translate", "--model", "lm", "--jsonl"), "a translator is needed"),
    ],
)
def test_wrong_commands_answer_nothing(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    code, out, said = run(capsys, *words, text='{"prompt": "T"}\n')
    assert (code, out) == (2, "")
    assert message in said


def test_short_forms_act_in_the_documented_order(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--min-p", "0.1", "--top-p", "0.9", "--repetition-penalty", "1.2", "--top-k", "4")
    words = ("generate", "--model", "lm", "--max-tokens", "3", "-v", "--temperature", "0.8")
    said = run(capsys, *words, *flags)[2].splitlines()[0]
    assert [part.split(":")[0] for part in said.removeprefix("decode: ").split(" | ")] == [
        "repetition-penalty",
        "temperature",
        "top-k",
        "nucleus",
        "min-p",
        "sample",
    ]
    out = run(capsys, "translate", "--model", "mt", "--json", "--min-p", "0.1", text="the\n")[1]
    assert json.loads(out)["decode"] == "min-p:m=0.1 | sample"


def test_the_readme_s_requests_are_answered(capsys: pytest.CaptureFixture[str]) -> None:
    readme = Path(__file__).resolve().parents[2] / "README.md"
    blocks = readme.read_text(encoding="utf-8").split(".jsonl <<'END'\n")[1:]
    texts = [block.partition("\nEND\n")[0] for block in blocks]
    assert len(texts) == 2
    for text in texts:
        generates = "prompt" in json.loads(text.splitlines()[0])
        words = ("generate", "--model", "lm") if generates else ("translate", "--model", "mt")
        code, out, said = run(capsys, *words, "--jsonl", text=text)
        assert code == 0
        assert not said or said.startswith("Warning: the model never saw the characters")
        assert out.count("\n") >= text.count("\n") + 1


@pytest.mark.parametrize("count", [999_999_999_999, 99_999_999_999_999_999])
def test_more_results_than_there_is_memory_for_are_no_fault_of_a_plugin(
    capsys: pytest.CaptureFixture[str], count: int
) -> None:
    short = "There is not enough memory."
    code, _, said = run(
        capsys, "generate", "--model", "lm", "--prompt", "To", "--samples", str(count)
    )
    assert (code, said[: len(short) + 7]) == (1, f"Error: {short}")
    code, _, said = run(capsys, "translate", "--model", "mt", "--n-best", str(count), text="To be")
    assert (code, said[: len(short) + 7]) == (1, f"Error: {short}")
    asked = [{"source": "To be", "n_best": count}, {"source": "the mind"}]
    lines = "".join(json.dumps(each) + "\n" for each in asked)
    code, out, _ = run(capsys, "translate", "--model", "mt", "--jsonl", text=lines)
    first, second = map(json.loads, out.splitlines())
    assert code == 1
    assert first["error"].startswith(short)
    assert "error" not in second


def test_a_number_of_results_that_no_tensor_has_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, said = run(capsys, "generate", "--model", "lm", "--samples", "1" + "0" * 25)
    assert code == 2
    assert "is out of range: allowed is 1 to 2^63 − 1." in said


def test_every_character_that_the_model_never_saw_is_told_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    begin, end = "Warning: the model never saw the characters ", ": it reads them as unknown.\n"
    words = ("generate", "--model", "lm", "--max-tokens", "1")
    piped = ("--prompt", "-", "--batch-size", "3")
    said = run(capsys, *words, *piped, text="To ☃\nñ☃\nTo\n☃\n")[2]
    assert said == f"{begin}'☃', 'ñ'{end}"
    said = run(capsys, *words, *piped[:2], "--batch-size", "1", text="☃\nñ☃\n☃\n")[2]
    assert said == f"{begin}'☃'{end}{begin}'ñ'{end}"
    many = "".join(f"{chr(0x4E00 + number)}\n" for number in range(13))
    said = run(capsys, *words, "--prompt", "-", text=many)[2]
    assert said.endswith(f"'{chr(0x4E09)}' and 3 others{end}")
    said = run(capsys, *words, "--prompt", "☃To")[2]
    assert said == f"{begin}'☃'{end}"
    lines = "".join(json.dumps({"prompt": each}) + "\n" for each in ("☃", "ñ", "To", "ñ☃"))
    said = run(capsys, *words, "--jsonl", text=lines)[2]
    assert said == f"{begin}'☃', 'ñ'{end}"


@pytest.mark.parametrize("command", ["generate", "translate"])
def test_a_request_s_random_seed_is_drawn_and_told(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    text = {"prompt" if command == "generate" else "source": "To be", "temperature": 1.5}
    drawn = answers(capsys, command, [{**text, "seed": "random"}] * 2)
    seeds = [each["seed"] for each in drawn]
    assert seeds[0] != seeds[1]
    again = answers(capsys, command, [{**text, "seed": seed} for seed in seeds])
    assert same(drawn, again)
