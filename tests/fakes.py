"""The toys of ``textgen.testing`` by the names that the tests use."""

from __future__ import annotations

from textgen.testing import TOY_SPECIAL as SPECIAL
from textgen.testing import FixedRandom, all_outputs
from textgen.testing import ToyModel as FakeModel
from textgen.testing import ToyState as FakeState
from textgen.testing import toy_beam as make_beam
from textgen.testing import toy_model as random_model
from textgen.testing.toy import MEMORIES

__all__ = [
    "MEMORIES",
    "SPECIAL",
    "FakeModel",
    "FakeState",
    "FixedRandom",
    "all_outputs",
    "make_beam",
    "random_model",
]
