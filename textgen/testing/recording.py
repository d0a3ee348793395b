"""A filter that writes down what it is told of rows, and looks whether that is right."""

from __future__ import annotations

import torch
from torch import Tensor

from textgen.decoding import reorder
from textgen.protocols import Beam, Filter, Session


class Diary:
    """A filter that keeps the tokens of each row, and looks whether it is told of all moves."""

    def __init__(self) -> None:
        self.searches: list[Page] = []
        self.called_itself = False

    def start(self, session: Session) -> Filter:
        """Begin a page for one search."""
        del session
        self.searches.append(Page())
        return self.searches[-1]

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """Called itself, it was not started."""
        del beam
        self.called_itself = True
        return log_probs


class Page:
    """What one search told."""

    def __init__(self) -> None:
        self.kept: Tensor | None = None
        self.sources = torch.zeros(0)
        self.problem = ""

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) as they are."""
        if self.kept is None:
            if beam.step:
                self.problem = f"the first call comes at step {beam.step}."
            self.kept = beam.tokens
        elif not self.problem:
            moved = reorder(self.kept, self.sources, beam)
            self.kept = torch.cat([moved, beam.tokens[:, :, -1:]], 2)
            live = ~beam.finished & (beam.scores > -torch.inf)
            if self.kept.shape != beam.tokens.shape:
                self.problem = (
                    f"step {beam.step}: a call for each step would have told "
                    f"{tuple(self.kept.shape)} tokens (B, K, T), there are "
                    f"{tuple(beam.tokens.shape)}."
                )
            elif not torch.equal(self.kept[live], beam.tokens[live]):
                self.problem = f"step {beam.step}: beam.parents do not say where the rows went."
        self.sources = beam.sources
        return log_probs
