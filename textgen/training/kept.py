"""Models of earlier validations, kept beside the best one: ``OUT/kept-models/STEP``.

Each is a whole model folder, without the state of the training, so that every command takes it as
``--model OUT/kept-models/STEP``.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from textgen.atomic import flush
from textgen.checkpoint import KEPT, WEIGHTS, load_tensors, save_weights
from textgen.errors import CheckpointError
from textgen.staging import remove_folder


class Kept:
    """Keeps the models of the N best and of the N last validations.

    Args:
        folder: of the training's model.
        count: N.
        criterion: the metric that must fall, or with a "-" before it must rise.
        describe: writes all files of a model but its weights into a folder.
        resume: go on with those of the training in the folder.
    """

    def __init__(
        self,
        folder: Path,
        count: int,
        criterion: str,
        describe: Callable[[Path], object],
        *,
        resume: bool,
    ) -> None:
        self.folder, self.count, self.criterion = folder, count, criterion
        self.describe = describe
        self.values: dict[int, float] = {}
        for path in (folder / KEPT).iterdir() if resume and (folder / KEPT).is_dir() else ():
            if not path.name.isdecimal():  # of a process that was killed
                shutil.rmtree(path, ignore_errors=True)
                continue
            _, facts = load_tensors(path / WEIGHTS)
            self.values[int(path.name)] = self._value(facts.get("metrics", {}))

    def add(self, place: Path, model: nn.Module, facts: Mapping[str, Any]) -> None:
        """Keep a model that was just validated, and no longer those that it displaces.

        Args:
            place: the folder, or where its new files are staged.
            model: with the validated weights.
            facts: of the weights, ``step`` and ``metrics`` among them.

        Raises:
            CheckpointError: if it cannot be written; those before are untouched.
        """
        step = int(facts["step"])
        beside, target = (place / KEPT / name for name in (f".{step}", str(step)))
        try:
            shutil.rmtree(beside, ignore_errors=True)  # of a process that was killed
            beside.mkdir(parents=True)
            self.describe(beside)
            save_weights(beside, model, facts)
            remove_folder(target)
            beside.replace(target)
            flush(target.parent)
            self.values[step] = self._value(facts["metrics"])
            for old in self.values.keys() - self._chosen():
                for each in {place, self.folder}:
                    remove_folder(each / KEPT / str(old))
                del self.values[old]
        except OSError as error:
            raise CheckpointError(
                f"{target.parent}: cannot be written: {error.strerror}."
            ) from None
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def _chosen(self) -> set[int]:
        """Steps of the best models, the earlier one of equals, and of the last."""
        best = sorted(self.values, key=lambda step: (self.values[step], step))[: self.count]
        return {*best, *sorted(self.values)[-self.count :]}

    def _value(self, metrics: Mapping[str, float]) -> float:
        """What must fall."""
        value = metrics.get(self.criterion.removeprefix("-"), math.inf)
        return -value if self.criterion.startswith("-") else value
