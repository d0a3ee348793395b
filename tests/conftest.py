"""What all tests share: the fakes can be imported, the slow tests wait for ``--slow``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

# the tensors of tests are small: more threads only wait for each other, in child processes too
os.environ["OMP_NUM_THREADS"] = "1"
# a shell lets what it starts in the background ignore SIGINT, and child processes inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)
# no test waits for a network
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"

import pytest
import torch
from hypothesis import settings

from textgen.native import kernels, without

sys.path.insert(0, str(Path(__file__).parent))

torch.set_num_threads(1)

collect_ignore = [
    "example_package"
]  # a project of its own: test_testing_example_package.py runs it

# the same examples each time, however slow the machine
settings.register_profile("tests", deadline=None, derandomize=True)
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that train for minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(params=["native", "python"])
def either(request: pytest.FixtureRequest) -> Iterator[str]:
    """A test runs with what was compiled and without."""
    if request.param == "native":
        if kernels() is None:
            pytest.skip("textgen.native was not compiled")
        yield "native"
        return
    with without():
        yield "python"
