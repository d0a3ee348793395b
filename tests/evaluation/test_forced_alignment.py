"""Forced decoding: the attention of given translations, and links from it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from checks import some
from small_models import TEXT, save_language_model, save_translator
from textgen.errors import UsageError
from textgen.evaluation import forced_alignment
from textgen.evaluation.forced_alignment import AlignedPair, align, force
from textgen.loading import LoadedModel, load_model
from textgen.protocols import Batch
from textgen.translation.links import make_links

WORDS = TEXT.split()
PAIRS = [
    (" ".join(WORDS[n : n + 1 + n % 5]), " ".join(WORDS[n : n + 1 + n % 4]).upper())
    for n in range(12)
]


@pytest.fixture(scope="module", params=["words", "characters"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = save_translator(tmp_path_factory.mktemp("model"), kind=request.param)
    return load_model(str(folder), "cpu")


def by_steps(loaded: LoadedModel, source: list[int], target: list[int]) -> tuple[list[float], list]:
    """The same, token by token, for one pair: log-probabilities and rows of attention."""
    tokens = torch.tensor([[*source, 2]])
    with torch.inference_mode():
        state = loaded.model.begin(Batch(1, tokens, torch.tensor([tokens.shape[1]])))
        previous, log_probs, rows = 1, [], []
        for token in target:
            logits, state = loaded.model(torch.tensor([[previous]]), state)
            log_probs.append(float(torch.log_softmax(logits[0, 0].double(), -1)[token]))
            rows.append(state.attention[0, 0].tolist())
            previous = token
    return log_probs, rows


def test_it_is_what_stepping_sees(loaded: LoadedModel) -> None:
    source_tokenizer = loaded.require_source()
    sources = [source_tokenizer.encode(source) for source, _ in PAIRS]
    targets = [[*loaded.tokenizer.encode(target), 2] for _, target in PAIRS]
    for found, source, target in some(
        zip(force(loaded, sources, targets), sources, targets, strict=True)
    ):
        log_probs, rows = by_steps(loaded, source, target)
        np.testing.assert_allclose(found.log_probs, log_probs, atol=1e-4)
        assert found.attention is not None
        np.testing.assert_allclose(found.attention, rows, atol=1e-5)


def test_batches_do_not_matter(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    together = list(align(loaded, PAIRS))
    monkeypatch.setattr(forced_alignment, "WINDOW", 3)
    monkeypatch.setattr(forced_alignment, "_CELLS", 3 * forced_alignment.LONGEST)
    for one, other in some(zip(together, align(loaded, PAIRS), strict=True)):
        assert one.source_tokens == other.source_tokens
        assert one.log_prob == pytest.approx(other.log_prob, abs=1e-3)
        np.testing.assert_allclose(one.attention, other.attention, atol=1e-5)


def test_blank_sides_and_long_ones(loaded: LoadedModel) -> None:
    pairs = [("", "TO BE"), ("to be", "  "), ("", ""), PAIRS[3], ("to be " * 40, "TO BE")]
    found = list(align(loaded, pairs, longest=30))
    assert [(pair.source, pair.target) for pair in found] == pairs
    for pair in found[:3]:
        assert pair.links() == pair.links("attention") == frozenset()
        assert 0 in pair.word_attention().shape
    assert [pair.cut for pair in found] == [False, False, False, False, True]
    assert len(found[4].source_tokens) == 30
    assert found[3].links()


def aligned(weights: list[list[float]], source: list[str], target: list[str]) -> AlignedPair:
    """A pair with given attention, a column and a row of eos added."""
    attention = np.zeros((len(target) + 1, len(source) + 1), np.float32)
    attention[:-1, :-1] = weights
    tokens = tuple(range(len(source))), tuple(range(len(target)))
    surfaces = tuple(source), tuple(target)
    return AlignedPair("".join(source), "".join(target), *tokens, *surfaces, attention, 0.0, False)


def test_two_ways_to_unite_subwords() -> None:
    # "un|do it" and "mach es": the second half of the word looks elsewhere, but less surely
    pair = aligned(
        [[0.5, 0.4, 0.1], [0.4, 0.1, 0.45], [0.0, 0.1, 0.9]],
        ["un", "do", " it"],
        ["ma", "ch", " es"],
    )
    assert pair.links("links") == make_links([(0, 0), (1, 0), (1, 1)])
    assert pair.links("attention") == make_links([(0, 0), (1, 1)])
    np.testing.assert_allclose(pair.word_attention(), [[0.7, 0.275], [0.1, 0.9]], atol=1e-6)


def test_models_that_cannot_align_are_refused(tmp_path: Path) -> None:
    plain = load_model(str(save_translator(tmp_path / "plain", attention="none")), "cpu")
    with pytest.raises(UsageError, match="has no attention"):
        align(plain, PAIRS)
    assert force(plain, [[5]], [[5, 2]])[0].attention is None
    model = load_model(str(save_language_model(tmp_path / "lm")), "cpu")
    with pytest.raises(UsageError, match="a translator is needed"):
        align(model, PAIRS)
