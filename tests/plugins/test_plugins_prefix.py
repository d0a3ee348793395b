"""A forced beginning, and the laws of all filters that look at where a row stands."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from checks import some
from fakes import SPECIAL, make_beam, random_model
from textgen.data.tokenizers.characters import CharacterTokenizer
from textgen.data.tokenizers.words import WordTokenizer
from textgen.decoding import decode, make_session, rescore
from textgen.decoding.chain import default_registries, resolve
from textgen.errors import UsageError
from textgen.protocols import Batch, Filter, Hypotheses, Strategy
from textgen_decoders.beam import BeamSearch
from textgen_decoders.dry import Dry, DryTokens
from textgen_decoders.dynamic_temperature import DynamicTemperature
from textgen_decoders.greedy import Greedy
from textgen_decoders.mirostat import Mirostat
from textgen_decoders.prefix import Prefix, PrefixTokens
from textgen_decoders.regex import Regex
from textgen_decoders.sample import Sample

DEAD = float("-inf")
TOKENIZER = CharacterTokenizer("abcd")
SIZE = TOKENIZER.size


def test_only_the_token_that_is_due_may_come() -> None:
    prefix = Prefix("ba").setup_tokenizer(TOKENIZER)
    scores = torch.arange(SIZE).float().expand(1, 2, SIZE)
    for output, due in (([], 5), ([5], 4)):
        result = prefix(scores, make_beam([[output, output]]))
        assert result[0, 1].tolist() == [v if v == due else DEAD for v in range(SIZE)]
    later = make_beam([[[5, 4], [5, 4]]])
    assert torch.equal(prefix(scores, later), scores)
    assert torch.equal(Prefix("").setup_tokenizer(TOKENIZER)(scores, later), scores)
    by_number = Prefix("#6")(scores, make_beam([[[], []]]))
    assert (by_number > DEAD).nonzero()[:, 2].tolist() == [6, 6]


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(UsageError, match="prefix: 'ax' cannot be written"):
        Prefix("ax").setup_tokenizer(TOKENIZER)
    with pytest.raises(UsageError, match="8 tokens"):
        Prefix("#8").setup_tokenizer(TOKENIZER)
    with pytest.raises(UsageError, match="needs a tokenizer"):
        Prefix("a")(torch.zeros(1, 1, SIZE), make_beam([[[]]]))


def test_words_are_cut_as_the_tokenizer_cuts_them() -> None:
    tokenizer = WordTokenizer(["to", "be", "or"])
    assert Prefix("to be\nor").setup_tokenizer(tokenizer) == PrefixTokens((5, 6, 4, 7))


@pytest.mark.parametrize("strategy", [Greedy(), Sample(), BeamSearch(width=3)])
def test_the_output_begins_with_it_and_the_model_pays(strategy: Strategy) -> None:
    model = random_model(SIZE, seed=3)
    prefixes, limits = [[], [4, 4], [7]], [6, 1, 9]
    session = make_session(
        model, Batch(3), prefixes, special=SPECIAL, limits=limits,
        filters=[Prefix("cb").setup_tokenizer(TOKENIZER)],
    )  # fmt: skip
    found = decode(strategy, session)
    for row, limit in some(enumerate(limits)):
        output = found.tokens[row, 0, : int(found.lengths[row, 0])].tolist()
        assert output[:2] == [6, 5][:limit]
        wanted = model.log_prob(0, [SPECIAL.bos, *prefixes[row]], output)
        assert float(found.log_probs[row, 0]) == pytest.approx(sum(wanted), abs=1e-4)


def test_flags_stand_between_what_forces_and_mirostat() -> None:
    chain = resolve(
        "mirostat",
        ["prefix:text=a", "dry"],
        default_registries(),
        {"temperature": 0.8, "repetition_penalty": 1.1},
    )
    names = [line.partition(":")[0] for line in chain.description]
    assert names.index("temperature") < names.index("mirostat")
    assert names[0] == "repetition-penalty"
    chain = resolve("prefix:text=a", ["mirostat"], default_registries(), {"top_k": 3})
    names = [line.partition(":")[0] for line in chain.description]
    assert names == ["prefix", "top-k", "mirostat", "sample"]


FILTERS: list[Filter] = [
    PrefixTokens((6, 5)),
    Regex("[ab]*c(d|ab?)*").setup_tokenizer(TOKENIZER),
    Regex("a{1,3}|[bc]{2}d*").setup_tokenizer(TOKENIZER),
    Mirostat(tau=0.8, eta=0.5),
    DryTokens(Dry(m=2.0, allowed=1), (7,)),
    DynamicTemperature(0.3, 2.0),
    DynamicTemperature(0.0, 1.0),
]
PREFIXES = [[4, 5], [], [6, 6, 7, 6], [5], [4]]
LIMITS = [14, 3, 8, 1, 0]


def run(one: Filter, strategy: Strategy, rows: list[int]) -> Hypotheses:
    model = random_model(SIZE, seed=11, languages=1)
    session = make_session(
        model, Batch(len(rows)), [PREFIXES[row] for row in rows], special=SPECIAL,
        limits=[LIMITS[row] for row in rows], indices=rows, seed=7, samples=2, filters=[one],
    )  # fmt: skip
    return decode(strategy, session)


def told(found: Hypotheses, row: int) -> list[tuple[list[int], bool]]:
    return [
        (found.tokens[row, k, : int(found.lengths[row, k])].tolist(), bool(found.finished[row, k]))
        for k in range(found.tokens.shape[1])
        if math.isfinite(found.scores[row, k])
    ]


@pytest.mark.parametrize("strategy", [Sample(), BeamSearch(width=3), BeamSearch(width=9)])
@pytest.mark.parametrize("one", FILTERS, ids=lambda one: type(one).__name__)
def test_neighbours_change_nothing(one: Filter, strategy: Strategy) -> None:
    together = run(one, strategy, [0, 1, 2, 3, 4])
    backwards = run(one, strategy, [4, 3, 2, 1, 0])
    for row in range(5):
        alone = told(run(one, strategy, [row]), 0)
        assert told(together, row) == alone
        assert told(backwards, 4 - row) == alone
        assert all(len(tokens) <= LIMITS[row] for tokens, _ in alone)
    assert run(one, strategy, []).tokens.shape[0] == 0


@pytest.mark.parametrize("strategy", [Sample(), BeamSearch(width=3)])
@pytest.mark.parametrize("one", FILTERS, ids=lambda one: type(one).__name__)
def test_what_is_recorded_is_what_the_model_says(one: Filter, strategy: Strategy) -> None:
    found = run(one, strategy, [0, 1, 2, 3, 4])
    model = random_model(SIZE, seed=11, languages=1)
    session = make_session(model, Batch(5), PREFIXES, special=SPECIAL, limits=LIMITS)
    again = rescore(session, found)
    real = found.scores > DEAD
    assert torch.allclose(again.sum(2)[real], found.log_probs[real], atol=1e-4)
    assert real.sum() >= 5


@pytest.mark.parametrize("one", FILTERS, ids=lambda one: type(one).__name__)
def test_where_all_else_is_forbidden_the_end_is_forced(one: Filter) -> None:
    def nothing(log_probs: torch.Tensor, beam: object) -> torch.Tensor:
        del beam
        return torch.full_like(log_probs, DEAD)

    model = random_model(SIZE, seed=11)
    for filters in ([nothing, one], [one, nothing]):
        session = make_session(
            model, Batch(2), [[], [4]], special=SPECIAL, limits=5, filters=filters
        )
        found = decode(Sample(), session)
        assert found.tokens.tolist() == [[[SPECIAL.eos]]] * 2


def test_all_of_them_say_what_they_are() -> None:
    registry = default_registries().filters
    for name in ("dynamic-temperature", "dry", "mirostat", "regex", "prefix"):
        factory = registry.load(name)
        assert dataclasses.is_dataclass(factory)
        line = (factory.__doc__ or "").partition("Example: ")[2]
        assert line.startswith("--decode ")
        assert name in line
