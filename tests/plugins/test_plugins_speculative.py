"""Speculative decoding draws from exactly the distribution that plain sampling draws from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from checks import some
from fakes import SPECIAL, FakeModel, random_model
from frequencies import counted, probabilities, require_fit
from small_models import save_language_model, save_translator
from textgen.decoding import decode, make_session, rescore
from textgen.decoding.chain import default_registries, resolve
from textgen.errors import UsageError
from textgen.loading import load_model
from textgen.models.ensemble import Ensemble
from textgen.protocols import Batch, Beam, Filter, Hypotheses, Session
from textgen.testing import ToyAuxiliaryModel, ToyTokenizer
from textgen_decoders.greedy import Greedy
from textgen_decoders.nucleus import Nucleus
from textgen_decoders.sample import Sample
from textgen_decoders.speculative import Drafted, Speculative
from textgen_decoders.temperature import Temperature
from textgen_decoders.top_k import TopK
from textgen_decoders.xtc import XTC

DRAWS = 20_000
LIMIT = 3


def drafted(model: FakeModel, tokens: int = 4, *, translator: bool = False) -> Drafted:
    kind = "translator" if translator else "language-model"
    source = ToyTokenizer() if translator else None
    return Drafted(ToyAuxiliaryModel("small", kind, model, ToyTokenizer(), source), tokens)


def near(model: FakeModel, noise: float) -> FakeModel:
    """A draft that is often right."""
    generator = torch.Generator().manual_seed(5)
    return FakeModel(model.logits + noise * torch.randn(model.logits.shape, generator=generator))


def many(model: FakeModel, filters: list[Filter], seed: int = 1) -> Session:
    return make_session(
        model, Batch(DRAWS // 4), [[]] * (DRAWS // 4), special=SPECIAL, limits=LIMIT, seed=seed,
        samples=4, filters=filters,
    )  # fmt: skip


ADVERSARIAL = -2.0  # times the logits: what the model thinks likely, the draft thinks unlikely


@pytest.mark.parametrize("filters", [[], [Temperature(1.7)], [Nucleus(0.9), TopK(3)]])
@pytest.mark.parametrize("scale", [0.5, ADVERSARIAL])
def test_frequencies_are_the_probabilities(filters: list[Filter], scale: float) -> None:
    model = random_model(vocabulary=6, spread=0.8, seed=2)
    found = decode(drafted(FakeModel(model.logits * scale), 3), many(model, filters))
    require_fit(counted(found), probabilities(model, LIMIT, filters), DRAWS)


def test_frequencies_are_those_of_plain_sampling() -> None:
    model = random_model(vocabulary=6, spread=0.8, seed=2)
    filters: list[Filter] = [XTC(q=0.5, t=0.1), Temperature(1.3)]
    one = counted(decode(drafted(near(model, 0.5)), many(model, filters)))
    other = counted(decode(Sample(), many(model, filters, seed=99)))
    cells = [output for output in one | other if one[output] + other[output] >= 10]
    statistic = sum(
        (one[output] - other[output]) ** 2 / (one[output] + other[output]) for output in cells
    )
    degrees = len(cells) - 1
    assert degrees > 20
    assert abs(statistic - degrees) < 4 * (2 * degrees) ** 0.5


def session_of(model: Any, size: int = 4, **options: Any) -> Session:
    """Sources with ragged prefixes and limits."""
    rows = [options.pop("rows")] if "rows" in options else [list(range(size))]
    numbers = rows[0]
    sources = torch.tensor([[row % 3, 4, 5] for row in numbers])
    lengths = torch.tensor([1 + row % 3 for row in numbers])
    limits = [[30, 7, 0, 1, 12, 19][row % 6] for row in numbers]
    prefixes = [[[], [4], [5, 4, 4], [1]][row % 4] for row in numbers]
    settings: dict[str, Any] = {"limits": limits, "indices": numbers, "special": SPECIAL}
    return make_session(
        model, Batch(len(numbers), sources, lengths), prefixes, **settings | options
    )


def test_a_draft_that_is_the_model_changes_nothing() -> None:
    """All is accepted: token for token what plain sampling says, in fewer calls."""
    model = random_model(vocabulary=9, languages=1)
    model.logits[..., SPECIAL.eos] = -9.0
    draft = FakeModel(model.logits)
    session = session_of(model, 6, samples=3, attention=True, filters=[TopK(5)])
    model.calls.clear()
    plain, often = decode(Sample(), session), len(model.calls)
    model.calls.clear()
    found = decode(drafted(draft, 5), session)
    for name in ("tokens", "lengths", "scores", "token_log_probs", "finished", "attention"):
        assert torch.equal(getattr(found, name), getattr(plain, name)), name
    assert often == 30
    assert len(model.calls) == 1 + 6  # the prefix, then 29 tokens five at a time
    assert [columns for _, columns in model.calls[1:]] == [5, 5, 5, 5, 5, 4]


def test_a_translator_drafts_from_the_texts() -> None:
    model = random_model(vocabulary=12, spread=1.0)
    model.logits[..., SPECIAL.eos] = -9.0
    texts = ["a", "b", ".", "d"]  # tokens 4, 5, 11, 10
    tokens = torch.tensor([[ToyTokenizer().encode(text)[0], SPECIAL.eos] for text in texts])
    options = {"special": SPECIAL, "limits": [20, 5, 9, 3], "texts": texts}
    batch = Batch(4, tokens, torch.tensor([2, 2, 2, 2]))
    session = make_session(model, batch, [[]] * 4, **options)
    model.calls.clear()
    found = decode(drafted(model, 4, translator=True), session)
    plain = decode(Sample(), session)
    assert torch.equal(found.tokens, plain.tokens)
    blind = make_session(model, batch, [[]] * 4, special=SPECIAL, limits=3)
    with pytest.raises(UsageError, match="small is a translator and needs the source texts"):
        decode(drafted(model, 4, translator=True), blind)


@pytest.mark.parametrize("tokens", [1, 2, 4, 8])
def test_a_better_draft_needs_fewer_calls(tokens: int) -> None:
    model = random_model(vocabulary=8, languages=1, spread=1.5, seed=3)
    model.logits[..., SPECIAL.eos] = -20.0
    calls = {}
    for noise in (0.0, 0.5, 3.0):
        session = make_session(model, Batch(1), [[]], special=SPECIAL, limits=200, seed=3)
        model.calls.clear()
        decode(drafted(near(model, noise), tokens), session)
        calls[noise] = len(model.calls)
        assert max(columns for _, columns in model.calls) <= max(1, 2 * tokens)
    assert calls[0.0] == 1 + -(-199 // tokens)
    if tokens == 1:
        assert calls == dict.fromkeys(calls, 200)
    else:
        assert calls[0.0] < calls[0.5] < calls[3.0] < 200


def test_without_temperature_it_is_greedy() -> None:
    for seed in range(4):
        model = random_model(vocabulary=7, seed=seed)
        session = session_of(model, 6, filters=[Temperature(0.0)])
        for draft in (near(model, 1.0), FakeModel(model.logits * ADVERSARIAL)):
            found, greedy = decode(drafted(draft), session), decode(Greedy(), session)
            assert torch.equal(found.tokens, greedy.tokens)
            assert torch.equal(found.scores, greedy.scores)
            assert torch.equal(found.finished, greedy.finished)


def plain(found: Hypotheses, row: int) -> list[Any]:
    """The hypotheses of one source without their padding."""
    return [
        (found.tokens[row, k, :length].tolist(), found.token_log_probs[row, k, :length].tolist())
        for k, length in enumerate(found.lengths[row].tolist())
    ]


@pytest.mark.parametrize("noise", [0.3, 2.0])
def test_neighbours_change_nothing(noise: float) -> None:
    model = random_model(vocabulary=8, spread=1.2)
    strategy = drafted(near(model, noise), 3)
    options: dict[str, Any] = {"samples": 2, "filters": [Nucleus(0.95)], "seed": 7}
    together = decode(strategy, session_of(model, 12, **options))
    order = [7, 3, 11, 0, 5, 9, 1, 10, 2, 4, 8, 6]
    mixed = decode(strategy, session_of(model, rows=order, **options))
    for place, row in enumerate(order):
        alone = decode(strategy, session_of(model, rows=[row], **options))
        assert plain(alone, 0) == plain(together, row) == plain(mixed, place)
    other = decode(strategy, session_of(model, 12, **options | {"seed": 8}))
    assert any(plain(other, row) != plain(together, row) for row in range(12))


def test_how_many_are_read_at_once_changes_nothing() -> None:
    model = random_model(vocabulary=8, spread=1.2)
    session = session_of(model, 12, samples=2, filters=[TopK(4), Temperature(0.9)])
    found = [decode(drafted(near(model, 0.7), tokens), session) for tokens in (1, 2, 5, 40)]
    for other in some(found[1:]):
        assert torch.equal(other.tokens, found[0].tokens)
        assert torch.equal(other.token_log_probs, found[0].token_log_probs)


def test_scores_equal_a_teacher_forced_pass() -> None:
    model = random_model(vocabulary=7)
    session = session_of(model, 6, samples=3, attention=True, eos_at_limit=True)
    found = decode(drafted(near(model, 0.8)), session)
    torch.testing.assert_close(rescore(session, found), found.token_log_probs)
    assert (found.lengths <= session.limit.unsqueeze(1)).all()
    assert found.finished[found.lengths > 0].all()
    assert found.attention is not None
    for row, prefix in enumerate([[1], [1, 4], [1, 5, 4, 4], [1], [1], [1, 4]]):
        for k in range(3):
            said = found.tokens[row, k, : found.lengths[row, k]].tolist()
            memory, seen = 0, []
            for token in (*prefix, *said):
                memory = (5 * memory + token + 1) % 13
                seen.append(memory)
            here = torch.tensor([seen[len(prefix) - 1 : -1 or None][: len(said)]])
            if said:
                weights = model.look(here, torch.tensor([1 + row % 3]), 3)[0]
                assert torch.equal(found.attention[row, k, : len(said)], weights)


class Counting:
    """A filter that keeps something: it may be asked only once for each certain step."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def start(self, session: Session) -> Counting:
        assert session.prefix.shape[0] == 1
        return self

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        self.steps.append(beam.step)
        return log_probs


class Suspicious:
    """A filter that looks at the beam closely, then asks for little."""

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        shape = tuple(beam.tokens.shape)
        assert tuple(beam.log_probs.shape) == shape
        assert beam.attention is not None
        assert tuple(beam.attention.shape[:3]) == shape
        assert (beam.lengths[~beam.finished] == beam.step).all()
        return log_probs.masked_fill(log_probs < log_probs.amax(2, keepdim=True) - 3, -torch.inf)


def test_filters_see_whole_beams() -> None:
    model = random_model(vocabulary=8)
    counting = Counting()
    session = session_of(
        model, rows=[0], filters=[Suspicious(), counting], attention=True, samples=2
    )
    found = decode(drafted(near(model, 0.5)), session)
    assert counting.steps == list(range(int(found.lengths.max())))


def test_where_all_is_forbidden_it_ends() -> None:
    model = random_model(vocabulary=8)

    def nothing(log_probs: Tensor, beam: Beam) -> Tensor:
        return torch.full_like(log_probs, -torch.inf) if beam.step == 2 else log_probs

    def no_end(log_probs: Tensor, _: Beam) -> Tensor:
        return log_probs.index_fill(2, torch.tensor([SPECIAL.eos]), -torch.inf)

    session = session_of(model, rows=[0, 4, 5], filters=[no_end, nothing], samples=2)
    found = decode(drafted(near(model, 0.5)), session)
    assert (found.lengths == 3).all()
    assert (found.tokens[:, :, 2] == SPECIAL.eos).all()


def test_no_sources_and_no_room() -> None:
    model = random_model()
    none = decode(drafted(model), make_session(model, Batch(0), [], special=SPECIAL, limits=4))
    assert none.tokens.shape[:2] == (0, 1)
    empty = decode(
        drafted(model), make_session(model, Batch(2), [[], []], special=SPECIAL, limits=0)
    )
    assert empty.lengths.tolist() == [[0], [0]]
    one = make_session(model, Batch(2), [[], []], special=SPECIAL, limits=1)
    assert decode(drafted(model), one).lengths.tolist() == [[1], [1]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_language_model(folder / "one")
    save_language_model(folder / "soft", sharpness=3.0)
    save_language_model(folder / "foreign", text="abc")
    for seed in (1, 2):
        save_translator(folder / f"translator{seed}", seed=seed)
    return folder


def test_it_is_asked_for_by_name(folders: Path) -> None:
    loaded = load_model(str(folders / "one"))
    session = make_session(
        loaded.model,
        Batch(3),
        [[5], [6, 7], []],
        special=loaded.tokenizer.special,
        limits=25,
        samples=2,
    )
    found = {}
    for draft in ("soft", "one"):
        chain = resolve(f"speculative:draft={folders / draft}", [], default_registries())
        with pytest.raises(UsageError, match="is not loaded"):
            chain.decode(session)
        found[draft] = chain.setup(loaded.tokenizer, load_model).decode(session)
        torch.testing.assert_close(rescore(session, found[draft]), found[draft].token_log_probs)
    assert torch.equal(found["one"].tokens, decode(Sample(), session).tokens)
    assert not torch.equal(found["one"].tokens, found["soft"].tokens)


def test_another_vocabulary_is_refused(folders: Path) -> None:
    loaded = load_model(str(folders / "one"))
    chain = resolve(f"speculative:{folders / 'foreign'}", [], default_registries())
    with pytest.raises(UsageError, match=r"speculative: .*foreign must have the same vocabulary"):
        chain.setup(loaded.tokenizer, load_model)


@pytest.mark.parametrize("average", ["probabilities", "log-probabilities"])
def test_an_ensemble_of_translators(folders: Path, average: Any) -> None:
    """Two translators as one, drafted by one of them."""
    one, two = (load_model(str(folders / f"translator{seed}")) for seed in (1, 2))
    model = Ensemble([one.model, two.model], average).eval()
    source = torch.tensor([[5, 6, 7, 2], [8, 9, 2, 0], [6, 2, 0, 0]])
    session = make_session(
        model, Batch(3, source, torch.tensor([4, 3, 2])), [[], [7], [5, 6]],
        special=one.tokenizer.special, limits=[15, 9, 0], attention=True, samples=2,
        texts=["To be", "or not", "that"],
    )  # fmt: skip
    found = decode(Drafted(two, 3).setup_tokenizer(one.tokenizer), session)
    same = decode(Drafted(two, 1), session)
    assert torch.equal(found.tokens, same.tokens)
    assert found.attention is not None
    assert same.attention is not None
    said = found.tokens != one.tokenizer.special.pad
    torch.testing.assert_close(found.attention[said], same.attention[said])
    torch.testing.assert_close(rescore(session, found), found.token_log_probs)


def test_options_are_described() -> None:
    names = [field.name for field in dataclasses.fields(Speculative)]
    assert names == ["draft", "tokens"]
