"""Decoding: sessions, the shared search loop, random numbers for each row, rescoring.

Knows no model and no plugin, only the contracts of ``textgen.protocols``.
"""

from textgen.decoding.auxiliary_models import require_same_vocabulary
from textgen.decoding.finished import FinishedHypotheses
from textgen.decoding.history import counted, counted_output, last_said, said
from textgen.decoding.hypotheses import best_first, decode, take
from textgen.decoding.random import RowRandom, row_seeds
from textgen.decoding.reorder import follow_state, reorder
from textgen.decoding.scoring import rescore, score, token_log_probs
from textgen.decoding.search import Done, Picker, search
from textgen.decoding.session import make_session, padded
from textgen.decoding.stable_prefix import with_stable_prefix
from textgen.decoding.token_buffer import TokenBuffer
from textgen.decoding.top import Moves, argmax, best_moves, continuations, draw
from textgen.decoding.validation import worth
from textgen.rows import flat_rows

__all__ = [
    "Done",
    "FinishedHypotheses",
    "Moves",
    "Picker",
    "RowRandom",
    "TokenBuffer",
    "argmax",
    "best_first",
    "best_moves",
    "continuations",
    "counted",
    "counted_output",
    "decode",
    "draw",
    "flat_rows",
    "follow_state",
    "last_said",
    "make_session",
    "padded",
    "reorder",
    "require_same_vocabulary",
    "rescore",
    "row_seeds",
    "said",
    "score",
    "search",
    "take",
    "token_log_probs",
    "with_stable_prefix",
    "worth",
]
