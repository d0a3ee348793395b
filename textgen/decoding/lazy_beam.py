"""The beam that a search shows to plugins."""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from textgen.decoding.token_buffer import SearchSnapshot
from textgen.protocols import Beam


class LazyBeam(Beam):
    """A beam whose tokens are put together when they are asked for: most steps ask for none."""

    def __getattr__(self, name: str) -> Any:
        then: SearchSnapshot | None = vars(self).get(f"{name}_then")
        if then is None:
            raise AttributeError(f"a beam has no {name!r}")
        values = vars(self)[name] = then.values()
        return values

    @property
    @override
    def step(self) -> int:
        then: SearchSnapshot | None = vars(self).get("tokens_then")
        return super().step if then is None else then.steps
