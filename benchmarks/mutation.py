"""How many small changes of the code the tests notice: mutation testing on a random sample.

    python -m benchmarks.mutation [--count 100] [--seed 0] [--parts decoding models training]

One run of the tests of these parts records which tests reach which line. Each mutant, a copy of the
package with one change, is then given to at most ``TESTS`` of the tests that reach the line; it is
killed if one fails or time runs out. Survivors are listed. The working tree is never changed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import math
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("decoding", "models", "training")
SUITES = ("decoding", "models", "training", "plugins")
TESTS = 40
TIMEOUT_S = 120
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "amax": "amin", "argmax": "argmin"}


class Mutant(NamedTuple):
    """One change.

    Attributes:
        path: of the file, relative to the checkout.
        line: number of the line.
        change: for people.
        text: the changed file.
        tests: that reach the line.
    """

    path: Path
    line: int
    change: str
    text: str
    tests: tuple[str, ...]


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """Changed copies of a node, without the nodes below it."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        changed = copy.deepcopy(node)
        changed.ops[0] = COMPARISONS[type(node.ops[0])]()
        yield changed
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        changed_operator = copy.deepcopy(node)
        changed_operator.op = OPERATORS[type(node.op)]()
        yield changed_operator
    elif isinstance(node, ast.BoolOp):
        changed_boolean = copy.deepcopy(node)
        changed_boolean.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield changed_boolean
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield copy.deepcopy(node.operand)
    elif isinstance(node, ast.Constant) and type(node.value) in {int, bool, float}:
        value = not node.value if isinstance(node.value, bool) else node.value + 1
        yield ast.copy_location(ast.Constant(value), node)
    elif isinstance(node, ast.Name) and node.id in NAMES and isinstance(node.ctx, ast.Load):
        yield ast.copy_location(ast.Name(NAMES[node.id], ast.Load()), node)
    elif isinstance(node, ast.Return) and node.value is not None:
        yield ast.copy_location(ast.Return(ast.Constant(None)), node)


def mutants_of(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, change and text of every mutant of a file; annotations and docstrings stay."""
    tree = ast.parse(text)
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for statement in function.body:
            for node in ast.walk(statement):
                if not isinstance(node, ast.expr | ast.Return) or not hasattr(node, "lineno"):
                    continue
                for changed in variants(node):
                    old, new = ast.get_source_segment(text, node), ast.unparse(changed)
                    if old is None or f'"{old}"' in text:
                        continue
                    yield node.lineno, f"{old} → {new}", _replaced(text, node, new)


def _replaced(text: str, node: ast.expr | ast.Return, new: str) -> str:
    """The text with a node's source replaced."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    data = text.encode()
    first = starts[node.lineno - 1] + node.col_offset
    last = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
    inner = new.encode() if isinstance(node, ast.Return) else b"(" + new.encode() + b")"
    return (data[:first] + inner + data[last:]).decode()


def covered(folder: Path, parts: Sequence[str]) -> dict[Path, dict[int, list[str]]]:
    """Tests by file and line, of one run of the suites."""
    from coverage import CoverageData

    data = folder / "coverage"
    suites = [f"tests/{name}" for name in SUITES]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-n", "2"]
    options = ["--dist", "loadfile", "--cov=textgen", "--cov-context=test", "--cov-report="]
    subprocess.run([*command, *options, *suites], cwd=ROOT, env=_environment(data), check=True)
    read = CoverageData(str(data))
    read.read()
    found: dict[Path, dict[int, list[str]]] = {}
    for name in read.measured_files():
        path = Path(name).relative_to(ROOT)
        if path.parts[0] == "textgen" and path.parts[1] in parts:
            lines = read.contexts_by_lineno(name)
            found[path] = {
                line: sorted({each.partition("|")[0] for each in contexts if "::" in each})
                for line, contexts in lines.items()
            }
    return found


def _environment(data: Path) -> dict[str, str]:
    import os

    return {**os.environ, "COVERAGE_FILE": str(data)}


def sample(
    reached: dict[Path, dict[int, list[str]]], count: int, seed: int
) -> tuple[list[Mutant], int]:
    """Some of all mutants of lines that a test reaches, and the number of all."""
    chance = random.Random(seed)
    every = []
    for path in sorted(reached):
        for line, change, text in mutants_of((ROOT / path).read_text(encoding="utf-8")):
            if tests := reached[path].get(line):
                chosen = tuple(chance.sample(tests, min(TESTS, len(tests))))
                every.append(Mutant(path, line, change, text, chosen))
    return chance.sample(every, min(count, len(every))), len(every)


def survives(mutant: Mutant, copy_of: Path) -> bool:
    """Whether the tests pass all the same."""
    target = copy_of / mutant.path
    before = target.read_text(encoding="utf-8")
    target.write_text(mutant.text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-n", "0"]
    try:
        done = subprocess.run(
            [*command, *mutant.tests],
            cwd=copy_of,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    finally:
        target.write_text(before, encoding="utf-8")
    return done.returncode == 0


def _require_passing(mutants: Sequence[Mutant], copy_of: Path) -> None:
    """See that the tests pass on the copy without a change: a failure then is the mutant's."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-n", "0"]
    done = subprocess.run([*command, *tests], cwd=copy_of, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"The tests fail without a change:\n{done.stdout.decode()[-2000:]}")


def interval(successes: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, successes / count
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return (middle - spread) / scale, (middle + spread) / scale


def main(arguments: Sequence[str] | None = None) -> None:
    """Sample, run, and print what survived."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", nargs="+", default=list(PARTS))
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", "checkpoints")
        shutil.copytree(ROOT, folder / "copy", ignore=ignored)
        (folder / "copy" / "checkpoints").symlink_to(ROOT / "checkpoints")
        mutants, every = sample(covered(folder, chosen.parts), chosen.count, chosen.seed)
        if not mutants:
            raise SystemExit(f"No test reaches a line of {', '.join(chosen.parts)}.")
        _require_passing(mutants, folder / "copy")
        print(f"{len(mutants)} of {every:,} mutants of {', '.join(chosen.parts)}")
        survivors = []
        for mutant in mutants:
            if survives(mutant, folder / "copy"):
                survivors.append(mutant)
                print(f"{mutant.path}:{mutant.line}: {mutant.change}", flush=True)
    killed = len(mutants) - len(survivors)
    low, high = interval(killed, len(mutants))
    print(f"killed {killed / len(mutants):.1%}, 95 % interval {low:.1%} to {high:.1%}")


if __name__ == "__main__":
    main()
