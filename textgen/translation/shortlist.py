"""Which target tokens each line of a batch may become: its shortlist, from a lexicon."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from textgen.decoding.binding import Binder
from textgen.decoding.chain import Chain
from textgen.decoding.session import padded
from textgen.errors import UsageError
from textgen.loading import LoadedModel
from textgen.models.shortlist import Shortlist
from textgen.translation.grouping import TranslationOptions
from textgen.translation.lexicon import Lexicon, load_lexicon

COMMON = 500
"""The most frequent target tokens, which every shortlist has."""

_STEP = 64  # sizes are multiples: a product of another size costs a compilation


class Shortlists:
    """Makes shortlists.

    A line may become the best n target tokens of each of its source tokens, the 500 most frequent
    target tokens, the special tokens, and what it is forced to begin with; with one vocabulary for
    both sides its own tokens too, since names and numbers are copied.

    Args:
        loaded: a translator.
        lexicon: its own.
        best: n.
        common: how many of the most frequent target tokens; None for 500.
    """

    def __init__(
        self, loaded: LoadedModel, lexicon: Lexicon, best: int, common: int | None = None
    ) -> None:
        source, target = loaded.require_source(), loaded.tokenizer
        self.device, self.size = loaded.device, target.size
        self.eos, self.pad = source.special.eos, target.special.pad
        special = torch.tensor([mark for mark in target.special if mark is not None])
        always = torch.cat([special, lexicon.frequent(COMMON if common is None else common)])
        rows = lexicon.without(always).best(best, self.pad)
        if source is target:
            rows = torch.cat([rows, torch.arange(source.size).unsqueeze(1)], 1)
        self.rows = rows.to(self.device)  # (V_source, n) or (V_source, n + 1)
        self.always = always.to(self.device)

    def __call__(
        self, sources: Sequence[Sequence[int]], prefixes: Sequence[Sequence[int]]
    ) -> Shortlist:
        """The shortlist of B lines together, and which part of it is each line's own.

        Args:
            sources: B lists of source tokens, without eos.
            prefixes: B lists of target tokens, forced.
        """
        read, _ = padded([[*source, self.eos] for source in sources], self.eos, self.device)
        forced, _ = padded(prefixes, self.pad, self.device)
        own = torch.zeros(len(sources), self.size, dtype=torch.bool, device=self.device)
        own[:, self.always] = True
        own.scatter_(1, self.rows[read].flatten(1), value=True)
        own.scatter_(1, forced, value=True)
        tokens = own.any(0).nonzero().squeeze(1)
        tokens = torch.cat([tokens, tokens[-1:].expand(-len(tokens) % _STEP)])
        return Shortlist(tokens, own[:, tokens] if len(sources) > 1 else None)


class WaryBinder(Binder):
    """A binder for decoding with shortlists, whose token numbers are not the model's own.

    Args:
        tokenizer: of the model that decodes.
    """

    def __call__(self, chain: Chain) -> Chain:
        """The chain, as it is.

        Raises:
            UsageError: if one of its plugins asks for the vocabulary, or for another model.
        """
        plugins: list[object] = [*chain.filters, chain.strategy]
        for plugin, told in zip(plugins, chain.description, strict=True):
            if any(
                callable(getattr(plugin, method, None))
                for method in ("setup_tokenizer", "setup_models")
            ):
                raise UsageError(
                    f"{told} works with the whole vocabulary, so it does not go with a shortlist: "
                    "leave one of the two out."
                )
        return super().__call__(chain)


def make_binder(loaded: LoadedModel, options: TranslationOptions) -> Binder:
    """What makes chains ready for decoding a model with these options."""
    if options.shortlist is None:
        return loaded.binder()
    return WaryBinder(loaded.tokenizer)


def make_shortlists(loaded: LoadedModel, options: TranslationOptions) -> Shortlists | None:
    """What makes the shortlists that the options ask for; None if they ask for none.

    Raises:
        CheckpointError: if the model has no lexicon, or one that does not fit.
    """
    if options.shortlist is None:
        return None
    return Shortlists(loaded, load_lexicon(loaded), options.shortlist)
