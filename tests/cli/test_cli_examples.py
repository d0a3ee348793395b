"""Every command answers -h with examples, and every example runs."""

import io
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import torch

from textgen.cli.app import textgen
from textgen.cli.failures import guarded

TINY = ("training.steps=3", "training.device=cpu", "model.hidden=8", "model.layers=1")
LINES = [f"The {number} quick foxes jump over the lazy dog." for number in range(40)]
TEXT = "\n".join(LINES) + "\n"


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command and group."""
    yield path
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


def find(path: tuple[str, ...]) -> click.Command:
    command: click.Command = textgen
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    return command


def examples(path: tuple[str, ...]) -> list[str]:
    lines = (find(path).epilog or "").splitlines()
    return [line.strip() for line in lines if line.startswith("  ")]


COMMANDS = list(commands(textgen))
EXAMPLES = sorted(
    {example for path in COMMANDS for example in examples(path)},
    key=lambda example: ("--resume" in example, " train " not in example, example),
)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_shows_the_examples(
    path: tuple[str, ...], flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded([*path, flag]) == 0
    shown = capsys.readouterr().out
    assert examples(path)
    for example in examples(path):
        assert example in shown
        assert example.startswith(" ".join(["textgen", *path]))


def test_every_option_and_command_says_what_it_is() -> None:
    for path in COMMANDS:
        command = find(path)
        assert command.get_short_help_str(200).endswith("."), path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (path, parameter.name)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that the examples name, and the model that they use."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("workshop")
    words = {word for example in EXAMPLES for word in shlex.split(example)}
    for name in words:
        if Path(name).suffix in {".txt", ".en", ".de"} and "/" not in name:
            (folder / name).write_text(TEXT, encoding="utf-8")
    (folder / "prompts.txt").write_text("The \nA dog\n\n", encoding="utf-8")
    (folder / "requests.jsonl").write_text('{"prompt": "A ", "seed": 3}\n{}\n', encoding="utf-8")
    (folder / "sources.jsonl").write_text('{"source": "3 May 2021", "beam": 2}\n', encoding="utf-8")
    rows = "".join(f'{number},"{line}"\n' for number, line in enumerate(LINES))
    (folder / "posts.csv").write_text(f"id,text\n{rows}", encoding="utf-8")
    pairs = "".join(f"{line}\t{line}\n" for line in LINES)
    (folder / "pairs.tsv").write_text(f"en\tfr\n{pairs}", encoding="utf-8")
    (folder / "my.toml").write_text("[training]\nsteps = 1\n", encoding="utf-8")
    (folder / "my" / "plugins").mkdir(parents=True)
    (folder / "dates.txt").write_text("3 May 2021\n4 June 2022\n", encoding="utf-8")
    (folder / "letters.txt").write_text("A\nH\nT\n", encoding="utf-8")
    (folder / "links.txt").write_text("0-0\n0-0\n", encoding="utf-8")
    (folder / "iso.txt").write_text("2021-05-03\n2022-06-04\n", encoding="utf-8")
    labelled(folder)
    tagged(folder)
    for model in ("reviews", "a", "b"):
        train = f"textgen train classifier --train reviews.csv --out checkpoints/{model}"
        assert run_in(folder, train) == 0
    for model in ("pos", "xpos", "names"):
        column = " --column xpos" if model == "xpos" else ""
        data = "train.conll" if model == "names" else f"train.conllu{column}"
        assert run_in(folder, f"textgen train tagger --train {data} --out checkpoints/{model}") == 0
    for model in ("py", "novel"):
        assert run_in(folder, f"textgen train lm --train novel.txt --out checkpoints/{model}") == 0
    train = "textgen train translator --corpus dates --recipe dates-small"
    assert run_in(folder, f"{train} --out checkpoints/dates") == 0
    shutil.copytree(folder / "checkpoints" / "dates", folder / "checkpoints" / "dates-2")
    return folder


def labelled(folder: Path) -> None:
    """Labelled texts as the examples name them."""
    labels = ["even" if number % 2 == 0 else "odd" for number in range(len(LINES))]
    both = list(zip(LINES, labels, strict=True))
    table = "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in both)
    for name in ("reviews.csv", "tagged.csv", "test.csv"):
        (folder / name).write_text(table, encoding="utf-8")
    rows = (json.dumps({"body": text, "kind": label}) for text, label in both)
    (folder / "mail.jsonl").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    for name in ("y.txt", "labels.txt"):
        (folder / name).write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    for number, (text, label) in enumerate(both):
        for name in ("news", "test"):
            (folder / name / label).mkdir(parents=True, exist_ok=True)
            (folder / name / label / f"{number}.txt").write_text(text, encoding="utf-8")


def tagged(folder: Path) -> None:
    """Tagged sentences as the examples name them."""
    rows = [[(word, "B-x" if word.isdigit() else "O") for word in line.split()] for line in LINES]
    conllu = "".join(
        "".join(
            f"{number}\t{word}\t_\t{tag}\t{tag}\t_\t0\t_\t_\t_\n"
            for number, (word, tag) in enumerate(row, start=1)
        )
        + "\n"
        for row in rows
    )
    columns = "\n".join("".join(f"{word}\t{tag}\n" for word, tag in row) for row in rows)
    for name in ("train", "dev", "test"):
        (folder / f"{name}.conllu").write_text(conllu, encoding="utf-8")
        (folder / f"{name}.conll").write_text(columns, encoding="utf-8")
    lists = (
        json.dumps({"tokens": [word for word, _ in row], "ner_tags": [tag for _, tag in row]})
        for row in rows
    )
    (folder / "train.jsonl").write_text("\n".join(lists), encoding="utf-8")
    for name, side in (("words.txt", 0), ("tags.txt", 1)):
        text = "".join(" ".join(pair[side] for pair in row) + "\n" for row in rows)
        (folder / name).write_text(text, encoding="utf-8")


def run_in(folder: Path, example: str) -> int:
    """Run an example in a folder, trainings made tiny; ``< FILE`` is what the shell makes of it."""
    words = shlex.split(example)[1:]
    before = Path.cwd()
    os.chdir(folder)
    try:
        if "<" in words:
            place = words.index("<")
            sys.stdin = io.TextIOWrapper(io.BytesIO(Path(words[place + 1]).read_bytes()))
            del words[place : place + 2]
        if words[0] in {"train", "compare"}:
            words = [*words, "--set", *TINY]
            if "--minutes" in words:
                del words[words.index("--minutes") :][:2]
            if words[0] == "train" and "--resume" not in words:
                words.append("--overwrite")
        return guarded(words)
    finally:
        os.chdir(before)
        sys.stdin = sys.__stdin__


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs(example: str, workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_in(workshop, example)
    captured = capsys.readouterr()
    assert code == 0, captured.err
    assert captured.out


def readme_commands() -> list[str]:
    """The lines of the documentation's shell blocks that call textgen, continuations joined."""
    root = Path(__file__).resolve().parents[2]
    pages = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    blocks = [part.partition("```")[0] for part in text.split("```sh\n")[1:]]
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.removeprefix(".venv/bin/") for line in lines if "textgen " in line[:20]]


@pytest.mark.parametrize("line", [line for line in readme_commands() if " -h" not in line])
def test_a_command_of_the_readme_is_understood(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    words = words[: words.index("<")] if "<" in words else words
    command: click.Command = textgen
    context = click.Context(command)
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None
        command = found
    with command.make_context("textgen", words) as made:
        assert made.command is command


def test_the_readme_names_commands() -> None:
    assert len(readme_commands()) > 10
