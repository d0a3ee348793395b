"""For authors of plugins: toys with known probabilities, and the laws that plugins keep.

``check_filter``, ``check_strategy``, ``check_cell``, ``check_encoder`` and ``check_task`` hold
anybody's plugin to what the shipped ones keep, and raise ``LawBroken`` for the first law that it
breaks.
"""

from textgen.testing.filters import FILTER_LAWS, check_filter
from textgen.testing.laws import Law, LawBroken
from textgen.testing.parts import check_cell, check_encoder, check_task
from textgen.testing.strategies import STRATEGY_LAWS, check_strategy
from textgen.testing.toy import (
    TOY_SPECIAL,
    FixedRandom,
    ToyModel,
    ToyState,
    all_outputs,
    toy_beam,
    toy_model,
)
from textgen.testing.vocabulary import ToyAuxiliaryModel, ToyTokenizer, toy_load

__all__ = [
    "FILTER_LAWS",
    "STRATEGY_LAWS",
    "TOY_SPECIAL",
    "FixedRandom",
    "Law",
    "LawBroken",
    "ToyAuxiliaryModel",
    "ToyModel",
    "ToyState",
    "ToyTokenizer",
    "all_outputs",
    "check_cell",
    "check_encoder",
    "check_filter",
    "check_strategy",
    "check_task",
    "toy_beam",
    "toy_load",
    "toy_model",
]
