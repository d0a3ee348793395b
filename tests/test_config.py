"""Configurations: what is accepted, what is told when something is not."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Lt
from hypothesis import assume, given
from hypothesis import strategies as st

from textgen.config import (
    as_dict,
    describe,
    merge,
    parse_settings,
    parse_value,
    read_toml,
    structure,
)
from textgen.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    PluginError,
    TextgenError,
    TrainingError,
    UsageError,
    nearest,
)


@dataclass(frozen=True)
class Inner:
    cell: Annotated[Literal["lstm", "gru"], "kind of cell"] = "lstm"
    hidden: Annotated[int, Ge(1), "units"] = 256
    share: Annotated[float, Ge(0), Lt(1)] = 0.0
    rate: Annotated[float, Gt(0)] = 1.0


@dataclass(frozen=True)
class Outer:
    model: Inner = field(default_factory=Inner)
    steps: Annotated[int | None, Ge(1), "updates; none: no limit"] = None
    name: str = "x"
    words: tuple[str, ...] = ()
    hidden_total: int = field(init=False, default=0)


@dataclass(frozen=True)
class Needed:
    width: Annotated[int, Gt(0)]

    def __post_init__(self) -> None:
        if self.width == 13:
            raise ValueError("13 is unlucky")


def problems(cls: type[Any], data: dict[str, Any], where: str = "") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        structure(cls, data, where=where)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


def test_plain_data_becomes_the_dataclass_and_back() -> None:
    data = {"model": {"hidden": "512", "cell": "gru"}, "steps": "7", "words": ["a", "b"]}
    made = structure(Outer, data)
    assert made == Outer(model=Inner(hidden=512, cell="gru"), steps=7, words=("a", "b"))
    plain = as_dict(made)
    plain.pop("hidden_total")
    assert structure(Outer, plain) == made
    assert structure(Outer, {}) == Outer()


def test_every_error_is_told_at_once_with_its_path() -> None:
    told = problems(
        Outer,
        {"model": {"hidden": 0, "cell": "lstn", "share": "much"}, "steps": -1, "colour": 3},
        where="recipe x",
    )
    assert len(told) == 5
    assert all(sentence.startswith("recipe x: ") for sentence in told)
    text = "\n".join(told)
    assert "model.hidden: input should be greater than or equal to 1, got 0." in text
    assert "model.cell: input should be 'lstm' or 'gru', got 'lstn'." in text
    assert "model.share: " in text
    assert "steps: input should be greater than or equal to 1, got -1." in text
    assert "colour: there is no such option." in text


def test_lists_are_lists() -> None:
    assert structure(Outer, {"words": ["a", "b"]}).words == ("a", "b")
    assert problems(Outer, {"words": "a"}) == ["words: a list in brackets is needed, got 'a'."]


def test_unknown_names_get_the_nearest_one() -> None:
    (told,) = problems(Outer, {"model": {"hiden": 1}})
    assert told == (
        "model.hiden: there is no such option. Did you mean 'hidden'? "
        "Allowed: cell, hidden, rate, share."
    )
    (told,) = problems(Outer, {"nam": 1})
    assert "Did you mean 'name'?" in told
    assert "hidden_total" not in told


def test_fields_that_cannot_be_given_are_unknown() -> None:
    (told,) = problems(Outer, {"hidden_total": 3})
    assert told.startswith("hidden_total: there is no such option.")


def test_sections_and_values_mixed_up() -> None:
    (told,) = problems(Outer, {"model": 3})
    assert told.startswith("model: ")
    (told,) = problems(Outer, {"steps": {"a": 1}})
    assert told.startswith("steps: ")


def test_missing_and_refused_values() -> None:
    assert problems(Needed, {}) == ["width: a value is needed."]
    assert problems(Needed, {"width": 13}, "beam") == ["beam: 13 is unlucky."]


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "inf"])
def test_numbers_are_finite(value: object) -> None:
    (told,) = problems(Inner, {"rate": value})
    assert told.startswith("rate: ")


@dataclass(frozen=True)
class Drawing:
    seed: Annotated[int, Ge(0)] = 0
    share: float | None = None
    greedy: bool = False
    inner: Inner = field(default_factory=Inner)


def test_a_truth_value_is_no_number() -> None:
    data = {"seed": True, "share": False, "greedy": True, "inner": {"hidden": True, "rate": "x"}}
    with pytest.raises(ConfigError) as caught:
        structure(Drawing, data)
    assert caught.value.problems[:3] == (
        "seed: a number is needed, got true.",
        "share: a number is needed, got false.",
        "inner.hidden: a number is needed, got true.",
    )
    assert caught.value.problems[3].startswith("inner.rate: ")
    assert structure(Drawing, {"greedy": True}).greedy


def test_a_seed_in_a_configuration_is_a_number() -> None:
    with pytest.raises(ConfigError, match="The option --seed random draws one"):
        structure(Drawing, {"seed": "random"})


def test_texts_that_look_like_numbers_are_texts_where_texts_are_wanted() -> None:
    assert structure(Outer, parse_settings(["name=1984"])).name == "1984"
    assert structure(Outer, {"words": [5, "x"]}).words == ("5", "x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("512", 512),
        ("1e-3", 0.001),
        ("true", True),
        ("None", None),
        ("none", None),
        ('"none"', "none"),
        ("gru", "gru"),
        ("[1, 2]", [1, 2]),
        ("one-cycle", "one-cycle"),
        ("", ""),
        ("'a,b'", "a,b"),
        ("a=b", "a=b"),
        ("1\nvalue2 = 3", "1\nvalue2 = 3"),
        ("# no comment", "# no comment"),
        ("5 # five", "5 # five"),
        ("2024-01-31", "2024-01-31"),
        ("10:30:00", "10:30:00"),
    ],
)
def test_values_of_the_command_line(text: str, value: object) -> None:
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


@given(st.text())
def test_any_text_is_some_value(text: str) -> None:
    value = parse_value(text)
    known = (str, bool, int, float, list, dict)
    assert value is None or isinstance(value, known)


@given(st.text(alphabet=st.characters(categories=["L"]), min_size=1))
def test_words_are_themselves(text: str) -> None:
    assume(text.lower() not in {"none", "true", "false", "nan", "inf"})
    assert parse_value(text) == text


def test_settings_nest() -> None:
    assert parse_settings(
        ["model.hidden=512", " model.cell = gru ", "name=a=b", "model.hidden=3"]
    ) == {
        "model": {"hidden": 3, "cell": "gru"},
        "name": "a=b",
    }
    assert parse_settings([]) == {}


def test_wrong_settings_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings(["hidden", "=3", "a..b=1", "model=1", "model.hidden=2"])
    assert len(caught.value.problems) == 4
    assert "'hidden': expected key=value" in caught.value.problems[0]
    assert parse_settings("model.hidden=3") == {"model": {"hidden": 3}}
    assert "model.hidden=2" in caught.value.problems[3]


def test_a_value_does_not_hide_options_given_before() -> None:
    with pytest.raises(ConfigError, match="model was given"):
        parse_settings(["model.hidden=2", "model=1"])


def test_layers_lie_over_each_other() -> None:
    below = {"model": {"hidden": 1, "cell": "gru"}, "steps": 3}
    above = {"model": {"hidden": 2}, "name": "y"}
    merged = merge(below, above)
    assert merged == {"model": {"hidden": 2, "cell": "gru"}, "steps": 3, "name": "y"}
    merged["model"]["hidden"] = 9
    assert below["model"] == {"hidden": 1, "cell": "gru"}
    assert above["model"] == {"hidden": 2}
    assert merge({"a": {"b": 1}}, {"a": 2}) == {"a": 2}
    assert merge({"a": 2}, {"a": {"b": 1}}) == {"a": {"b": 1}}


def test_toml_files(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[model]\nhidden = 3\n", encoding="utf-8")
    assert read_toml(path) == {"model": {"hidden": 3}}
    path.write_text("[model\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"x\.toml: is not valid TOML: .*line 1"):
        read_toml(path)
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"x\.toml: is not UTF-8"):
        read_toml(path)
    with pytest.raises(ConfigError, match=r"no\.toml: cannot be read: No such file"):
        read_toml(tmp_path / "no.toml")


def test_options_are_described() -> None:
    options = {option.path: option for option in describe(Outer)}
    assert list(options) == [
        "model.cell",
        "model.hidden",
        "model.share",
        "model.rate",
        "steps",
        "name",
        "words",
    ]
    assert options["model.cell"][1:] == ("lstm|gru", "lstm", "kind of cell")
    assert options["model.hidden"][1:] == ("int ≥ 1", "256", "units")
    assert options["model.share"].type == "float ≥ 0, < 1"
    assert options["steps"][1:] == ("int|none ≥ 1", "none", "updates; none: no limit")
    assert options["words"].type == "list of str"
    assert describe(Needed)[0].default == "(needed)"


def test_the_tree_of_errors() -> None:
    for kind in (UsageError, DataError, CheckpointError, TrainingError):
        assert kind.__base__ is TextgenError
    for kind in (ConfigError, PluginError):
        assert kind.__base__ is UsageError


def test_nearest_names() -> None:
    assert nearest("lstn", ["gru", "lstm"]) == " Did you mean 'lstm'? Allowed: gru, lstm."
    assert nearest("zzz", ["b", "a"]) == " Allowed: a, b."
    assert nearest("x", []) == " Allowed: none."


def test_configurations_are_values() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        structure(Inner, {}).hidden = 3  # type: ignore[misc]


def test_none_is_the_word_where_it_is_one() -> None:
    from textgen.recipes import load_translator_recipe

    recipe = load_translator_recipe(
        "translator-small", ["model.attention=none", "model.tied=none", "data.max_length=none"]
    )
    assert (recipe.model.attention, recipe.model.tied) == ("none", "none")
    assert recipe.data.max_length is None
