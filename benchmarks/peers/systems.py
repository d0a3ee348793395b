"""The systems that are compared, and the sizes that they share."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIZES: dict[str, Any] = {
    "embedding": 256,
    "hidden": 512,
    "dropout": 0.3,
    "label_smoothing": 0.1,
    "learning_rate": 1e-3,
    "batch": 80,
}
VOCABULARY = 8000
DECODING_BATCH = 64
SAME = ("model.attention=additive", "model.input_feeding=true")


@dataclass(frozen=True)
class System:
    """One row of each comparison.

    Attributes:
        name: as people read it.
        module: its worker.
        model: folder of its trained model, below that of all models.
        settings: of a textgen recipe, beyond the sizes.
        precision: of a textgen's products, or weights.
        peer: whether the others are compared with it.
    """

    name: str
    module: str
    model: str
    settings: tuple[str, ...] = ()
    precision: str = "float32"
    peer: bool = False

    def python(self, environment: Path) -> Path:
        """Its interpreter: the peers' own, or this one."""
        return environment / "bin" / "python" if self.peer else Path(sys.executable)


OPENNMT = System("OpenNMT-py", "benchmarks.peers.opennmt_worker", "opennmt", peer=True)
JOEYNMT = System("JoeyNMT", "benchmarks.peers.joeynmt_worker", "joeynmt", peer=True)
PEERS = (OPENNMT, JOEYNMT)
EIGHT_BITS = System("textgen, int8", "benchmarks.peers.textgen_worker", "textgen", (), "int8")
"""Only decodes."""


def ours(*, bfloat16: bool) -> tuple[System, ...]:
    """Ourselves as the recipe is, and with the peers' attention and input feeding."""
    found = []
    for label, model, settings in (
        ("textgen", "textgen", ()),
        ("textgen, their architecture", "textgen-same", SAME),
    ):
        for precision in ("float32", "bfloat16") if bfloat16 else ("float32",):
            name = f"{label}, {precision}"
            found.append(
                System(name, "benchmarks.peers.textgen_worker", model, settings, precision)
            )
    return tuple(found)
