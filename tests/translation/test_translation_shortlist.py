"""Decoding among a shortlist: the same where it holds all tokens, nothing outside it elsewhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from checks import some
from small_models import TEXT, save_translator
from textgen.decoding.chain import Chain, default_registries, resolve
from textgen.errors import CheckpointError, UsageError
from textgen.evaluation.forced_alignment import force
from textgen.loading import LoadedModel, load_ensemble, load_model
from textgen.translation import SourceLine, Translation, TranslationOptions, translate
from textgen.translation.lexicon import learn_lexicon, save_lexicon
from textgen.translation.lines import translate_windows
from textgen.translation.shortlist import Shortlists, make_shortlists

WORDS = TEXT.split()
LINES = [" ".join(WORDS[start : start + 1 + start % 7]) for start in range(20)]
PAIRS = [(line, line.upper()) for line in LINES]
PREFIXES = ["", "THE SLINGS", "", "TO BE", *[""] * 15, "NOBLER"]
SHORT = TranslationOptions(shortlist=2)


def chain(spec: str, *filters: str) -> Chain:
    return resolve(spec, filters, default_registries())


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    found = []
    for seed in (7, 8):
        folder = save_translator(tmp_path_factory.mktemp("words"), seed=seed)
        loaded = load_model(str(folder), "cpu")
        save_lexicon(learn_lexicon(loaded, PAIRS, rounds=10), loaded)
        found.append(folder)
    return found


@pytest.fixture(scope="module")
def loaded(folders: list[Path]) -> LoadedModel:
    return load_model(str(folders[0]), "cpu")


@pytest.fixture
def few_common(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortlists with 2 frequent tokens: 500 would be all of these small vocabularies."""
    monkeypatch.setattr("textgen.translation.shortlist.COMMON", 2)


def allowed(loaded: LoadedModel, line: str, prefix: str = "") -> set[int]:
    """What a line may become, from the definition."""
    shortlists = make_shortlists(loaded, SHORT)
    assert shortlists is not None
    source = loaded.require_source().encode(line)
    short = shortlists([source], [loaded.tokenizer.encode(prefix)])
    assert short.own is None
    return set(short.tokens.tolist())


def same(ours: Translation, theirs: Translation, tolerance: float = 1e-4) -> None:
    for mine, other in zip(ours.candidates, theirs.candidates, strict=True):
        assert mine.tokens == other.tokens
        assert mine.text == other.text
        assert mine.finished == other.finished
        assert mine.score == pytest.approx(other.score, abs=tolerance)
        assert mine.token_log_probs == pytest.approx(other.token_log_probs, abs=tolerance)
        if other.attention is not None:
            assert mine.attention is not None
            np.testing.assert_allclose(mine.attention, other.attention, atol=tolerance)


@pytest.mark.usefixtures("few_common")
def test_a_line_may_become_what_its_tokens_become(loaded: LoadedModel) -> None:
    lexicon = learn_lexicon(loaded, PAIRS, rounds=10)
    source, target = loaded.require_source(), loaded.tokenizer
    always = {0, 1, 2, 3, *lexicon.frequent(2).tolist()}
    line, prefix = LINES[6], "NOBLER TO"
    expected = always | set(target.encode(prefix))
    for token in [*source.encode(line), source.special.eos]:
        others = [to for to, _ in lexicon.row(token) if to not in always]
        expected |= set(others[:2])
    assert allowed(loaded, line, prefix) == expected
    assert len(expected) < target.size


@pytest.mark.usefixtures("few_common")
def test_in_a_batch_each_line_has_its_own_part(loaded: LoadedModel) -> None:
    shortlists = make_shortlists(loaded, SHORT)
    assert shortlists is not None
    sources = [loaded.require_source().encode(line) for line in LINES]
    prefixes = [loaded.tokenizer.encode(prefix) for prefix in PREFIXES]
    short = shortlists(sources, prefixes)
    assert short.own is not None
    tokens = short.tokens.tolist()
    assert tokens[:4] == [0, 1, 2, 3]
    assert tokens == sorted(tokens)
    assert len(tokens) % 64 == 0
    parts = [set(short.tokens[row].tolist()) for row in short.own]
    assert parts == [
        allowed(loaded, line, prefix) for line, prefix in zip(LINES, PREFIXES, strict=True)
    ]
    assert set.union(*parts) == set(tokens)


def test_one_vocabulary_lets_a_line_keep_its_tokens(loaded: LoadedModel) -> None:
    joint = dataclasses.replace(loaded, source_tokenizer=loaded.tokenizer)
    lexicon = learn_lexicon(joint, [("TO BE", "TO BE")])
    rare = loaded.tokenizer.encode("NOBLER")
    assert set(rare) <= set(Shortlists(joint, lexicon, 1)([rare], [[]]).tokens.tolist())
    assert not set(rare) <= set(Shortlists(loaded, lexicon, 1)([rare], [[]]).tokens.tolist())


@pytest.mark.parametrize(
    ("spec", "filters"),
    [
        ("greedy", ()),
        ("beam:width=4", ()),
        ("sample", ("temperature:0.7", "top-k:5")),
        ("diverse-beam:width=4,groups=2", ()),
        ("stochastic-beam", ()),
        ("contrastive", ()),
        ("beam:width=3", ("no-repeat-ngram:2", "repetition-penalty:1.3")),
    ],
    ids=str,
)
def test_a_shortlist_of_all_tokens_changes_nothing(
    loaded: LoadedModel, spec: str, filters: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole(self: Shortlists, *_: object) -> None:
        self.always = torch.arange(self.size)

    monkeypatch.setattr(Shortlists, "__call__", _after(whole, Shortlists.__call__))
    options = TranslationOptions(candidates=2, attention=True, seed=3)
    full = translate(loaded, LINES, chain(spec, *filters), options, prefixes=PREFIXES)
    options = dataclasses.replace(options, shortlist=1)
    short = translate(loaded, LINES, chain(spec, *filters), options, prefixes=PREFIXES)
    for ours, theirs in some(zip(short, full, strict=True)):
        same(ours, theirs)


def _after(first: object, then: object) -> object:
    def both(self: Shortlists, *given: object) -> object:
        first(self, *given)  # type: ignore[operator]
        return then(self, *given)  # type: ignore[operator]

    return both


@pytest.mark.usefixtures("few_common")
@pytest.mark.parametrize("spec", ["greedy", "beam:width=4", "sample"])
def test_no_token_comes_from_outside(loaded: LoadedModel, spec: str) -> None:
    options = TranslationOptions(candidates=3, seed=1)
    short = dataclasses.replace(options, shortlist=2)
    outside = 0
    for line, free, found in zip(
        LINES,
        translate(loaded, LINES, chain(spec), options),
        translate(loaded, LINES, chain(spec), short),
        strict=True,
    ):
        may = allowed(loaded, line)
        assert all(set(each.tokens) <= may for each in found.candidates)
        outside += sum(not set(each.tokens) <= may for each in free.candidates)
    assert outside > 10  # without it there would have been some


@pytest.mark.usefixtures("few_common")
@pytest.mark.parametrize("spec", ["greedy", "beam:width=3", "sample", "stochastic-beam"])
def test_neighbours_windows_batches_and_threads_do_not_matter(
    loaded: LoadedModel, spec: str
) -> None:
    options = TranslationOptions(candidates=2, seed=3, shortlist=2)
    one = dataclasses.replace(options, batch_tokens=1)
    alone = list(translate(loaded, LINES, chain(spec), one, prefixes=PREFIXES))
    for changed in (
        options,
        dataclasses.replace(options, window=5, batch_tokens=20),
        dataclasses.replace(options, workers=2, batch_tokens=20),
    ):
        together = translate(loaded, LINES, chain(spec), changed, prefixes=PREFIXES)
        for ours, theirs in some(zip(alone, together, strict=True)):
            same(ours, theirs)


@pytest.mark.usefixtures("few_common")
def test_log_probabilities_are_renormalised_over_the_shortlist(loaded: LoadedModel) -> None:
    options = dataclasses.replace(SHORT, attention=True)
    found = translate(loaded, LINES[:8], chain("beam:width=3"), options, prefixes=PREFIXES[:8])
    for line, prefix, translation in zip(LINES, PREFIXES, found, strict=False):
        best = translation.candidates[0]
        may = sorted(allowed(loaded, line, prefix))
        expected = _read(loaded, translation, may)
        assert best.token_log_probs == pytest.approx(expected, abs=1e-4)
        assert best.log_prob == pytest.approx(sum(expected), abs=1e-3)
        assert sum(expected) > float(
            force(loaded, [translation.source_tokens], [best.tokens])[0].log_probs.sum()
        )


def _read(loaded: LoadedModel, translation: Translation, may: list[int]) -> list[float]:
    """The model's log-probabilities of a translation's tokens, among those that are allowed."""
    from textgen.protocols import Batch

    source = torch.tensor([[*translation.source_tokens, loaded.require_source().special.eos]])
    tokens = list(translation.candidates[0].tokens)
    with torch.inference_mode():
        state = loaded.model.begin(Batch(1, source, torch.tensor([source.shape[1]])))
        logits, _ = loaded.model(
            torch.tensor([[loaded.tokenizer.special.bos, *tokens[:-1]]]), state
        )
    scores = torch.log_softmax(logits[0, :, may].float(), -1)
    return [float(scores[step, may.index(token)]) for step, token in enumerate(tokens)]


@pytest.mark.usefixtures("few_common")
def test_an_ensemble_uses_the_lexicon_of_its_first_model(folders: list[Path]) -> None:
    both = load_ensemble([str(folder) for folder in folders], "cpu")
    one = dataclasses.replace(SHORT, batch_tokens=1)
    together = list(translate(both, LINES, chain("beam:width=3"), SHORT, prefixes=PREFIXES))
    alone = translate(both, LINES, chain("beam:width=3"), one, prefixes=PREFIXES)
    for line, prefix, ours, theirs in zip(LINES, PREFIXES, together, alone, strict=True):
        same(ours, theirs)
        assert set(ours.candidates[0].tokens) <= allowed(both, line, prefix)


@pytest.mark.usefixtures("few_common")
@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_weights_of_fewer_bits(folders: list[Path], precision: str) -> None:
    model, exact = (load_model(str(folders[0]), "cpu", each) for each in (precision, "float32"))
    for line, found in zip(LINES, translate(model, LINES, chain("greedy"), SHORT), strict=True):
        may = allowed(model, line)
        assert set(found.candidates[0].tokens) <= may
        first = _read(exact, found, sorted(may))[0]
        assert found.candidates[0].token_log_probs[0] == pytest.approx(first, abs=0.3)


@pytest.mark.parametrize(
    ("spec", "filters", "told"),
    [
        ("greedy", ("banned:words=['OR']",), "banned:words="),
        ("mbr", (), "mbr:"),
        ("best-of", (), "best-of"),
        ("shallow-fusion:lm=nowhere", (), "shallow-fusion:"),
    ],
)
def test_what_needs_the_whole_vocabulary_is_refused(
    loaded: LoadedModel, spec: str, filters: tuple[str, ...], told: str
) -> None:
    wrong = chain(spec, *filters)
    with pytest.raises(UsageError, match=f"^{told}.*does not go with a shortlist"):
        translate(loaded, LINES, wrong, SHORT)
    lines = [SourceLine("to be"), SourceLine("to be", chain=wrong)]
    with pytest.raises(UsageError, match="does not go with a shortlist"):
        list(translate_windows(loaded, [lines], chain("greedy"), SHORT))


def test_it_is_told_at_once_that_there_is_no_lexicon(tmp_path: Path) -> None:
    model = load_model(str(save_translator(tmp_path)), "cpu")
    with pytest.raises(CheckpointError, match="has no lexicon: `textgen lexicon"):
        translate(model, LINES, chain("greedy"), SHORT)


def test_a_shortlist_has_one_token_at_least() -> None:
    with pytest.raises(UsageError, match="shortlist 0 is out of range: allowed is 1 to"):
        TranslationOptions(shortlist=0)
