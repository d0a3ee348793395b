"""BLEU, chrF and TER against values worked by hand, and what is said about odd texts."""

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks import some
from textgen.errors import DataError, UsageError
from textgen.evaluation.translation_metrics import (
    MetricOptions,
    check_tokenizer,
    score_translation,
    score_translations,
)

CAT = ["the cat sat on the mat"]
HYPOTHESIS = [
    "A man sleeps on a bench.",
    "Two dogs run over the grass, and a child laughs.",
    "The woman reads a book in the park.",
    "He drinks coffee.",
] * 5
REFERENCE = [
    "A man is sleeping on a bench.",
    "Two dogs are running across the grass while a child laughs.",
    "A woman reads a book in the park.",
    "He is drinking coffee.",
] * 5


def chrf(hypothesis: str, reference: str) -> float:
    """Popović's definition: mean precision and recall of 1- to 6-grams of letters, recall twice."""
    precisions, recalls = [], []
    one, other = hypothesis.replace(" ", ""), reference.replace(" ", "")
    for n in range(1, 7):
        found = Counter(one[i : i + n] for i in range(len(one) - n + 1))
        wanted = Counter(other[i : i + n] for i in range(len(other) - n + 1))
        same = (found & wanted).total()
        precisions.append(same / found.total())
        recalls.append(same / wanted.total())
    precision, recall = sum(precisions) / 6, sum(recalls) / 6
    return 100 * 5 * precision * recall / (4 * precision + recall)


def test_a_sentence_worked_by_hand() -> None:
    found = score_translation(CAT, [["the cat sat on a mat"]])
    # precisions 5/6, 3/5, 2/4, 1/3: their product is 1/12, lengths are equal; one word of six
    # must be exchanged
    assert found.scores["bleu"].score == pytest.approx(100 * (1 / 12) ** 0.25)
    assert found.scores["bleu"].details["precisions"] == pytest.approx([500 / 6, 60, 50, 100 / 3])
    assert found.scores["ter"].score == pytest.approx(100 / 6)
    assert found.scores["chrf"].score == pytest.approx(chrf(CAT[0], "the cat sat on a mat"))


def test_a_short_translation_pays_the_brevity_penalty() -> None:
    found = score_translation(["the cat sat on"], [CAT]).scores["bleu"]
    assert found.score == pytest.approx(100 * math.exp(1 - 6 / 4))
    assert found.details["brevity_penalty"] == pytest.approx(math.exp(-0.5))
    assert (found.details["hypothesis_length"], found.details["reference_length"]) == (4, 6)


def test_a_second_reference_offers_its_words_too() -> None:
    one = score_translation(CAT, [["the cat sat on a mat"]])
    both = score_translation(CAT, [["the cat sat on a mat"], ["a cat is on the mat"]])
    # "on the", "the mat" and "on the mat" come from the second: 5/6 (no reference says "the"
    # twice), 5/5, 3/4, 1/3
    assert both.scores["bleu"].score == pytest.approx(100 * (5 / 6 * 3 / 4 / 3) ** 0.25)
    assert both.scores["bleu"].score > one.scores["bleu"].score
    assert "nrefs:2|" in both.scores["bleu"].signature


def test_the_dictionary_has_the_keys_of_the_command_line() -> None:
    data = score_translation(CAT, [CAT]).as_dict()
    assert (data["system"], data["lines"]) == ("hypothesis", 1)
    assert [data[name]["score"] for name in ("bleu", "chrf", "ter")] == pytest.approx([100, 100, 0])
    assert data["bleu"]["signature"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|")
    assert "nc:6|nw:0" in data["chrf"]["signature"]
    assert "tok:tercom" in data["ter"]["signature"]
    assert "p_value" not in data["bleu"]


def test_options_reach_score_and_signature() -> None:
    options = MetricOptions(tokenizer="intl", lowercase=True, chrf_word_order=2)
    found = score_translation(["The CAT sat on the mat"], [CAT], options).scores
    assert found["bleu"].score == pytest.approx(100)
    assert "case:lc" in found["bleu"].signature
    assert "tok:intl" in found["bleu"].signature
    assert found["chrf"].name == "chrF2++"
    assert "case:lc" in found["chrf"].signature
    only = score_translation(CAT, [CAT], MetricOptions(metrics=("chrf",)))
    assert list(only.scores) == ["chrf"]


def test_confidence_gives_an_interval_around_the_mean() -> None:
    options = MetricOptions(metrics=("bleu", "chrf"), confidence=200)
    found = score_translation(HYPOTHESIS, [REFERENCE], options).scores["bleu"]
    assert found.mean is not None
    assert found.interval is not None
    assert 0 < found.interval < 15
    assert abs(found.mean - found.score) < found.interval
    assert "bs:200|seed:12345" in found.signature
    again = score_translation(HYPOTHESIS, [REFERENCE], options).scores["bleu"]
    assert again == found


@pytest.mark.parametrize(("paired", "mark"), [("bootstrap", "bs:300"), ("randomisation", "ar:300")])
def test_a_paired_test_tells_a_worse_system_from_an_equal_one(paired: str, mark: str) -> None:
    systems = {"base": REFERENCE, "same": list(REFERENCE), "worse": HYPOTHESIS}
    options = MetricOptions(metrics=("bleu", "ter"), paired=paired, samples=300)  # type: ignore[arg-type]
    base, same, worse = score_translations(systems, {"reference": REFERENCE}, options)
    assert base.scores["bleu"].p_value is None
    assert same.scores["bleu"].p_value == 1.0
    for name in ("bleu", "ter"):
        assert worse.scores[name].p_value == pytest.approx(1 / 301)
        assert mark in worse.scores[name].signature
    alone = score_translation(HYPOTHESIS, [REFERENCE]).scores["bleu"].score
    assert worse.scores["bleu"].score == pytest.approx(alone)


@pytest.mark.parametrize("changed", [1, 3, 5, 10])
def test_randomisation_counts_ties_as_the_exact_test_does(changed: int) -> None:
    """Of all 2^m exchanges of m changed lines two differ as much as the systems: all and none."""
    reference = [f"line {n} has {n % 7} words and a few more" for n in range(100)]
    better = list(reference)
    worse = [
        line if n >= changed else "line of no use here at all" for n, line in enumerate(better)
    ]
    options = MetricOptions(metrics=("bleu",), paired="randomisation", samples=4000)
    _, system = score_translations({"a": worse, "b": better}, {"r": reference}, options)
    found = system.scores["bleu"].p_value
    assert found is not None
    exact = min(1.0, 2.0 * 2.0**-changed)
    within = 4 * (exact * (1 - exact) / 4000) ** 0.5 + 1 / 4000
    assert found == pytest.approx(exact, abs=within)
    assert (found < 0.05) == (changed == 10)


def test_randomisation_can_give_intervals_too() -> None:
    options = MetricOptions(metrics=("bleu",), paired="randomisation", samples=50, confidence=50)
    systems = {"a": HYPOTHESIS, "b": REFERENCE[::-1]}
    for each in some(score_translations(systems, {"r": REFERENCE}, options)):
        assert each.scores["bleu"].interval is not None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_any_text_can_be_scored_and_identity_is_never_wrong(lines: list[str]) -> None:
    found = score_translation(lines, [lines]).scores
    assert found["ter"].score == 0
    assert all(math.isfinite(score.score) for score in found.values())


@pytest.mark.parametrize(
    ("hypothesis", "reference"), [(["", ""], ["", ""]), (["x", ""], ["", "x"]), ([" "], ["x y"])]
)
def test_empty_lines_are_scored_and_counted(hypothesis: list[str], reference: list[str]) -> None:
    found = score_translation(hypothesis, [reference])
    assert found.scores["bleu"].score == 0
    assert any("empty lines" in warning for warning in found.warnings)


def test_different_numbers_of_lines_are_told_by_name() -> None:
    with pytest.raises(DataError, match=r"a\.txt has 2, r1 has 1, r2 has 2\. Line n"):
        score_translations({"a.txt": ["x", "y"]}, {"r1": ["x"], "r2": ["x", "y"]})
    with pytest.raises(DataError, match="no lines to score: hypothesis, reference 1 are empty"):
        score_translation([], [[]])
    with pytest.raises(DataError, match="at least one hypothesis"):
        score_translations({}, {"r": ["x"]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (MetricOptions(metrics=("blue",)), "no metric 'blue'. Did you mean 'bleu'"),
        (MetricOptions(metrics=()), "No metric"),
        (MetricOptions(tokenizer="13b"), "no tokenizer '13b'. Did you mean '13a'"),
        (MetricOptions(paired="bootstrap"), "two or more"),
        (MetricOptions(paired="boot"), "no paired test 'boot'"),  # type: ignore[arg-type]
        (MetricOptions(confidence=10**9), "GiB of memory; at most 4 are used"),
    ],
)
def test_requests_that_cannot_be_met(options: MetricOptions, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        score_translation(CAT, [CAT], options)


def test_a_wrong_seed_in_the_environment_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SACREBLEU_SEED", "many")
    with pytest.raises(UsageError, match="SACREBLEU_SEED is 'many'"):
        score_translation(CAT, [CAT])


@pytest.mark.parametrize(
    ("hypothesis", "message"),
    [
        ("A man , who sleeps , snores .", "hypothesis looks tokenised: 3 full stops"),
        ("A man &apos;s dog, asleep.", "marks of a tokeniser"),
        ("A well @-@ known dog.", "marks of a tokeniser"),
        ("A m@@ an sleeps.", "subword marks"),
        ("▁A▁man sleeps.", "subword marks"),
        ("a man who sleeps on a bench in the park.", "has no capital letter, reference 1 has"),
    ],
)
def test_a_text_that_was_prepared_is_noticed(hypothesis: str, message: str) -> None:
    (warning,) = score_translation([hypothesis], [["A man, who sleeps, snores."]]).warnings
    assert message in warning


def test_two_lower_cased_texts_are_noticed_unless_case_is_disregarded() -> None:
    text = ["a man who sleeps on a bench in the park."]
    (warning,) = score_translation(text, [text]).warnings
    assert "hypothesis and reference 1 have no capital letter at all" in warning
    assert score_translation(text, [text], MetricOptions(lowercase=True)).warnings == ()


def test_resampling_few_lines_is_called_in_question() -> None:
    options = MetricOptions(metrics=("bleu",), confidence=20)
    (warning,) = score_translation(HYPOTHESIS, [REFERENCE], options).warnings
    assert "20 lines mean little" in warning
    assert score_translation(HYPOTHESIS * 3, [REFERENCE * 3], options).warnings == ()


@pytest.mark.parametrize(
    "text",
    [
        "Que fait-il ? Il dort ! « Oui » : non.",
        "Чоловік спить на лавці, а собака ні.",
        "Er sagt: 3,5 % sind es . vielleicht, sagt sie.",
    ],
)
def test_plain_texts_of_other_languages_raise_no_warning(text: str) -> None:
    assert score_translation([text], [[text]]).warnings == ()


def test_texts_without_four_words_are_no_matter_for_bleu() -> None:
    dates = ["2024 03 05", "1987 11 21"]
    (warning,) = score_translation(dates, [dates]).warnings
    assert warning.startswith("2 of 2 references have fewer than 4 words")
    assert score_translation(dates, [["2024 03 05", "one two three four"]]).warnings == ()
    chinese = [
        "他在长椅上睡觉。她在公园里看书，喝咖啡，听音乐，画画，唱歌，跳舞，写信，做饭，种花。"
    ]
    (warning,) = score_translation(chinese, [chinese]).warnings
    assert "made for the language" in warning
    assert score_translation(chinese, [chinese], MetricOptions(tokenizer="zh")).warnings == ()
    assert score_translation(dates, [dates], MetricOptions(metrics=("chrf",))).warnings == ()


def test_why_a_tokenizer_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(error: Exception) -> None:
        def make(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("sacrebleu.metrics.bleu.BLEU.__init__", make)

    def told(name: str) -> str:
        with pytest.raises(UsageError) as refused:
            score_translations({"a": ["x"]}, {"b": ["x"]}, MetricOptions(tokenizer=name))
        return str(refused.value)

    fails(RuntimeError("Please install the mecab package."))
    assert told("ja-mecab").endswith(
        "cannot be used here: install it: pip install 'sacrebleu[ja]'."
    )
    fails(OSError("<urlopen error no route>"))
    assert "has to download its model once, which failed (<urlopen error no route>)" in told("spm")
    with pytest.raises(UsageError) as refused:
        check_tokenizer("13b")
    assert str(refused.value).count("Allowed") == 1
