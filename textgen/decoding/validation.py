"""Filters and picks called with care: what breaks its contract is named."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor

from textgen.decoding.plugin_errors import BadPickError, broken
from textgen.errors import TextgenError
from textgen.protocols import Beam, Filter, Pick, Session

_INFINITY = float("inf")


def worth(flags: Tensor) -> bool:
    """Whether any flag is set; True unasked where asking would wait for an accelerator."""
    return not flags.is_cpu or bool(flags.any())


def anywhere(*flags: Tensor) -> list[bool]:
    """Whether any of each (…) bool is set; an accelerator is waited for once."""
    if flags[0].is_cpu:
        return [bool(each.any()) for each in flags]
    found: list[bool] = torch.stack([each.any() for each in flags]).tolist()
    return found


def started(one: Filter, session: Session) -> Filter:
    """A filter for one search: what its ``start`` gives, where it has one.

    Raises:
        PluginError: if it raises, or gives what cannot be called.
    """
    start = getattr(one, "start", None)
    if not callable(start):  # an option may have this name
        return one
    try:
        ready = start(session)
    except TextgenError:
        raise
    except Exception as error:
        raise broken(one, "filter", f"its start raised {type(error).__name__}: {error}") from error
    if not callable(ready):
        raise broken(one, "filter", f"its start gave {type(ready).__name__}, not a filter.")
    return cast("Filter", ready)


def apply_filters(
    filters: Sequence[Filter], unfiltered: Tensor, beam: Beam, forbidden: Tensor, eos: int
) -> Tensor:
    """Apply filters in order; forbidden tokens stay so; a row with nothing left may end.

    Args:
        filters: the chain.
        unfiltered: (B, K, V) float32.
        beam: the hypotheses.
        forbidden: token numbers, int64.
        eos: what is forced where every token is forbidden, at its unfiltered cost.

    Returns:
        (B, K, V), a tensor of its own.

    Raises:
        PluginError: if a filter raises, or returns another shape or type, NaN or +∞.
    """
    allowed = unfiltered
    for each in filters:
        allowed = apply_one(each, allowed, beam)
    allowed = allowed.index_fill(-1, forbidden, -_INFINITY)
    best = allowed.amax(-1)  # (B, K); NaN wins
    if best.is_cpu:
        if math.isfinite(float(best.sum())):
            return allowed
        if not bool((best < _INFINITY).all()):
            raise plugin_name(filters, unfiltered, beam)
    column = allowed.select(-1, eos)
    column.copy_(torch.where(best == -_INFINITY, unfiltered.select(-1, eos), column))
    return allowed


def apply_one(one: Filter, scores: Tensor, beam: Beam) -> Tensor:
    """Apply one filter to scores (B, K, V), and look at the shape and the type of its result.

    Raises:
        PluginError: if it raises or its result is of another shape or type.
    """
    try:
        result = one(scores, beam)
    except TextgenError:
        raise
    except Exception as error:
        what = f"it raised {type(error).__name__}: {error}"
        raise broken(one, "filter", what) from error
    if not isinstance(result, Tensor):
        raise broken(one, "filter", f"it returned {type(result).__name__}, not a tensor.")
    if result.shape != scores.shape or not result.is_floating_point():
        what = (
            f"it returned {result.dtype} of shape {tuple(result.shape)}, expected float32 of "
            f"shape {tuple(scores.shape)}, the log-probabilities (B, K, V)."
        )
        raise broken(one, "filter", what)
    return result


def plugin_name(filters: Sequence[Filter], unfiltered: Tensor, beam: Beam) -> TextgenError:
    """The error that names the first filter whose result has NaN or +∞."""
    allowed = unfiltered
    if bool(allowed.isnan().any()):
        return not_a_number()
    for each in filters:
        allowed = apply_one(each, allowed, beam)
        if not bool((allowed < _INFINITY).all()):
            return broken(each, "filter", "it returned NaN or +∞; −∞ forbids a token.")
    return broken(filters[-1], "filter", "it returned NaN or +∞; −∞ forbids a token.")


def not_a_number() -> TextgenError:
    """The error for a model whose output is NaN."""
    return TextgenError(
        "The model's output is not a number (NaN): its weights are damaged or its training failed."
    )


def call_pick(
    pick: Callable[[Tensor, Beam], Pick], allowed: Tensor, beam: Beam
) -> tuple[Tensor | None, Tensor]:
    """Ask a pick, and look at the shape and the type of what it says.

    Raises:
        PluginError: if it raises or its answer is no pick.
    """
    try:
        parents, tokens = pick(allowed, beam)
    except TextgenError:
        raise
    except Exception as error:
        what = f"its pick raised {type(error).__name__}: {error}"
        raise BadPickError(pick, what) from error
    shape = tuple(allowed.shape[:2])
    good = isinstance(tokens, Tensor) and tokens.dtype == torch.int64 and tokens.dim() == 2
    good = good and tokens.shape[1] > 0
    if parents is None:
        good = good and tokens.shape == shape
    else:
        good = good and parents.dtype == torch.int64 and parents.shape == tokens.shape
        good = good and tokens.shape[0] == shape[0]
    if not good:
        raise _bad_pick(pick, parents, tokens, shape)
    return parents, tokens


def call_done(done: Callable[[Beam], Tensor], beam: Beam) -> Tensor:
    """Ask which sources are done: (B,) bool.

    Raises:
        PluginError: if it raises or its answer is of another shape or type.
    """
    try:
        leaving = done(beam)
    except TextgenError:
        raise
    except Exception as error:
        what = f"its done raised {type(error).__name__}: {error}"
        raise BadPickError(done, what) from error
    if leaving.dtype != torch.bool or leaving.shape != beam.sources.shape:
        what = f"its done gave {leaving.dtype} {tuple(leaving.shape)}; expected bool (B,)."
        raise BadPickError(done, what)
    return leaving


def _bad_pick(
    pick: object, parents: object, tokens: object, shape: tuple[int, ...]
) -> BadPickError:
    said = " and ".join(
        f"{each.dtype} {tuple(each.shape)}" if isinstance(each, Tensor) else type(each).__name__
        for each in (parents, tokens)
    )
    return BadPickError(
        pick,
        f"its pick gave parents and tokens as {said}; expected int64 (B, K') with B = {shape[0]}, "
        f"K' ≥ 1, or None and tokens of shape {shape}.",
    )


def check_range(pick: object, parents: Tensor | None, tokens: Tensor, allowed: Tensor) -> None:
    """Refuse picks outside the vocabulary or the beam: (B, K') against ``allowed`` (B, K, V).

    Raises:
        PluginError: says which numbers were picked.
        TextgenError: if there was nothing but NaN to pick from.
    """
    if bool(allowed.isnan().any()):
        raise not_a_number()
    _, width, size = allowed.shape
    for name, values, end in (("tokens", tokens, size), ("parents", parents, width)):
        if values is not None and values.numel():
            least, most = int(values.min()), int(values.max())
            if least < 0 or most >= end:
                what = f"it picked {name} from {least} to {most}, allowed is 0 to {end - 1}."
                raise BadPickError(pick, what)
