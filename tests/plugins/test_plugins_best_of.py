"""Reranking against the sums of log-probabilities written out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from fakes import SPECIAL, FakeModel, random_model
from small_models import save_language_model, save_translator
from source_jobs import LIMITS, PREFIXES, TEXTS, Jobs, all_differ, told
from textgen.data.tokenizers.characters import CharacterTokenizer
from textgen.decoding import decode
from textgen.decoding.chain import Chain, default_registries, resolve
from textgen.errors import UsageError
from textgen.inference import Request, generate
from textgen.loading import load_model
from textgen.protocols import AuxiliaryModel, Hypotheses, Session, Tokenizer
from textgen.registry import Registry
from textgen.translation import translate
from textgen_decoders.beam import BeamSearch
from textgen_decoders.best_of import BestOf
from textgen_decoders.reranking import Task, log_probs
from textgen_decoders.sample import Sample

LETTERS = CharacterTokenizer("ab ", "none")
OTHERS = CharacterTokenizer(" xba", "none")  # other numbers for the same letters
V = LETTERS.size
ROWS = list(range(len(LIMITS)))
MANY = 12


@dataclass(frozen=True)
class Other:
    """A auxiliary that is a toy."""

    name: str
    kind: str
    model: FakeModel
    tokenizer: Tokenizer
    source_tokenizer: Tokenizer | None = None


MODELS = {
    "same": Other("same", "translator", random_model(V, seed=7), LETTERS, OTHERS),
    "same-lm": Other("same-lm", "language-model", random_model(V, seed=8), LETTERS),
    "back": Other("back", "translator", random_model(OTHERS.size, 8, seed=9), OTHERS, OTHERS),
    "text": Other("text", "language-model", random_model(OTHERS.size, seed=6), OTHERS),
}


def load(name: str) -> AuxiliaryModel:
    return MODELS[name]


def ready(strategy: BestOf, tokenizer: Tokenizer = LETTERS) -> Chain:
    return Chain(strategy, (), []).setup(tokenizer, load)


def language(other: Other, text: str) -> int:
    assert other.source_tokenizer is not None
    first = [*other.source_tokenizer.encode(text), SPECIAL.eos][0]
    return first % len(other.model.logits)


def others(options: BestOf, row: int, tokens: Sequence[int]) -> float:
    """What the other models add, each text by its own log-probability."""
    forced = list(PREFIXES[row])
    total = 0.0
    if options.model:
        other = MODELS[options.model]
        spoken = language(other, TEXTS[row]) if other.kind == "translator" else 0
        total += options.weight * sum(other.model.log_prob(spoken, [1, *forced], tokens))
    text = LETTERS.decode(tokens)
    if options.channel:
        back = MODELS[options.channel]
        target = [*OTHERS.encode(TEXTS[row]), SPECIAL.eos]
        found = sum(back.model.log_prob(language(back, text), [1], target))
        total += options.channel_weight * found
    if options.lm:
        ends = [SPECIAL.eos] if options.lm_eos and SPECIAL.eos in tokens else []
        found = sum(MODELS[options.lm].model.log_prob(0, [1], [*OTHERS.encode(text), *ends]))
        total += options.lm_weight * found
    return total


def session_of(**options: object) -> Session:
    return Jobs(random_model(V, seed=2, spread=1.2)).session(ROWS, **options)


def candidates(options: BestOf, session: Session) -> Hypotheses:
    if options.candidates == "beam":
        return decode(BeamSearch(options.n, alpha=options.alpha, n_best=options.n), session)
    return decode(Sample(), replace(session, samples=options.n))


@pytest.mark.parametrize(
    "options",
    [
        BestOf(MANY),
        BestOf(MANY, alpha=0.0),
        BestOf(MANY, candidates="beam", alpha=0.4),
        BestOf(MANY, model="same", weight=0.7),
        BestOf(MANY, model="same-lm", alpha=0.0),
        BestOf(MANY, channel="back", channel_weight=0.6, lm="text", lm_weight=0.3, alpha=0.5),
        BestOf(MANY, candidates="beam", lm="text", lm_eos=False),
        BestOf(MANY, model="same", channel="back", lm="text", n_best=2),
    ],
    ids=str,
)
def test_scores_are_the_sums_written_out(options: BestOf) -> None:
    session = session_of(samples=4)
    found = ready(options).decode(session)
    pool = candidates(options, session)
    for row in ROWS:
        expected = {}
        for tokens, _, total, _ in told(pool, row):
            value = total + others(options, row, tokens)
            expected[tuple(tokens)] = value / max(1, len(tokens)) ** options.alpha
        wanted = options.n_best or 4
        best = sorted(expected.values(), reverse=True)[:wanted]
        ours = told(found, row)
        assert [score for _, score, _, _ in ours] == pytest.approx(best, abs=2e-3)
        for tokens, score, _, _ in ours:
            assert expected[tuple(tokens)] == pytest.approx(score, abs=2e-3)


def test_with_weight_nothing_others_say_nothing() -> None:
    plain = decode(BestOf(MANY), session_of())
    options = BestOf(MANY, model="same", weight=0, channel="back", channel_weight=0)
    found = ready(options).decode(session_of())
    assert torch.equal(plain.tokens, found.tokens)
    strong = ready(replace(options, weight=50)).decode(session_of())
    assert not torch.equal(plain.tokens, strong.tokens)


def test_texts_of_many_lengths_are_scored_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textgen_decoders.reranking._POSITIONS", 40)
    back = MODELS["back"]
    tasks = [
        Task([1], [4 + at % 3] * (at * 7 % 11), [4 + at % 4] * (1 + at % 5)) for at in range(30)
    ]
    back.model.calls.clear()
    found = log_probs(back, tasks)
    for task, value in zip(tasks, found, strict=True):
        assert task.source is not None
        spoken = task.source[0] % len(back.model.logits)
        expected = sum(back.model.log_prob(spoken, task.prefix, task.tokens))
        assert value == pytest.approx(expected, abs=1e-4)
    assert len(back.model.calls) > 5
    assert all(rows * length <= 40 for rows, length in back.model.calls)
    assert log_probs(back, []) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (BestOf(channel="text"), "channel must be a translator, but text is a language-model"),
        (BestOf(lm="back"), "lm must be a language-model, but back is a translator"),
        (BestOf(model="back"), "back must have the same vocabulary"),
    ],
)
def test_models_of_the_wrong_kind_are_refused(options: BestOf, message: str) -> None:
    with pytest.raises(UsageError, match=f"best-of: {message}"):
        ready(options)


@pytest.mark.parametrize("options", [BestOf(channel="back"), BestOf(model="same")])
def test_sources_must_be_known(options: BestOf) -> None:
    with pytest.raises(UsageError, match=r"best-of: (channel=back|model=same) needs the source"):
        ready(options).decode(replace(session_of(), texts=()))
    session = session_of()
    assert session.batch is not None
    prompts = replace(session, batch=replace(session.batch, source=None))
    with pytest.raises(UsageError, match="the model that decodes is a language model"):
        ready(options).decode(prompts)
    with pytest.raises(UsageError, match="cannot be loaded here"):
        decode(options, session)


@pytest.mark.parametrize(
    "options",
    [
        BestOf(5),
        BestOf(5, candidates="beam"),
        BestOf(4, model="same", channel="back", lm="text", alpha=0.3),
    ],
)
def test_hypotheses_differ_and_no_sources_are_no_trouble(options: BestOf) -> None:
    for seed in range(2):
        jobs = Jobs(random_model(V, seed=seed))
        assert all_differ(
            decode(ready(options).strategy, jobs.session(range(len(LIMITS)), samples=2))
        )
    assert decode(ready(options).strategy, jobs.session([], samples=2)).tokens.shape[0] == 0


def test_a_language_model_of_other_tokens_reads_the_prompt(tmp_path: Path) -> None:
    loaded = load_model(str(save_language_model(tmp_path / "characters")))
    other = save_language_model(tmp_path / "words", kind="words")
    spec = f"best-of:n=6,lm={other},lm_eos=false,alpha=0,lm_weight=2"
    chain = resolve(spec, [], default_registries())
    request = Request("To be, or ", max_tokens=12, samples=6)
    found = list(generate(loaded, [request], chain))
    second = load_model(str(other))
    words = second.tokenizer
    values = []
    for each in found:
        task = Task([SPECIAL.bos, *words.encode(request.prompt)], words.encode(each.text))
        values.append(each.log_prob + 2 * log_probs(second, [task])[0])
    assert values == sorted(values, reverse=True)
    assert len({each.text for each in found}) == len(found) > 2


def test_noisy_channel_from_end_to_end(tmp_path: Path) -> None:
    there = load_model(str(save_translator(tmp_path / "there")))
    texts = ("TO BE, OR NOT TO BE,", "to be, or not to be,")
    back = save_translator(tmp_path / "back", kind="characters", texts=texts)
    lm = save_language_model(tmp_path / "lm", kind="bytes", text="TO BE")
    lines = ["To be, or not to be,", "", "that is"]
    plain = resolve("best-of:n=8,candidates=beam", [], default_registries())
    spec = f"best-of:n=8,candidates=beam,channel={back},channel_weight=3,lm={lm},lm_weight=0.1"
    channel = resolve(spec, [], default_registries())
    first = [each.candidates[0] for each in translate(there, lines, plain)]
    second = [each.candidates[0] for each in translate(there, lines, channel)]
    assert [each.text for each in first] != [each.text for each in second]
    assert second[1].text == ""
    with pytest.raises(UsageError, match="language model"):
        list(generate(load_model(str(lm)), [Request("TO")], channel))


def test_it_is_asked_for_by_name() -> None:
    registry = Registry("strategy", "textgen.strategies")
    assert registry.build("best-of:n=8,channel=some/folder") == BestOf(8, channel="some/folder")
