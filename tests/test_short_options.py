"""One table of short decoding options: flags, request keys and the chain all come from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from textgen.cli.generate import command as generate
from textgen.cli.generate_requests import OwnGeneration
from textgen.cli.requests import read_request
from textgen.cli.translate import command as translate
from textgen.cli.translate_requests import OwnTranslation
from textgen.decoding.chain import ORDER, default_registries, resolve
from textgen.errors import ConfigError, PluginError, UsageError
from textgen.short_options import SHORT_FORMS, Decoding, flag, short_options_of
from textgen_decoders.greedy import Greedy
from textgen_decoders.temperature import Temperature
from textgen_decoders.top_k import TopK

REGISTRIES = default_registries()


@pytest.mark.parametrize("name", SHORT_FORMS)
def test_each_short_option_is_a_flag_and_a_key_of_requests(name: str) -> None:
    for command in (generate, translate):
        assert flag(name) in {each for option in command.params for each in option.opts}
        assert name in (command.help or ""), "among the keys of --jsonl"
    value = 1 if SHORT_FORMS[name].strategy else 0.5 if name != "top_k" else 3
    for cls, own in ((OwnGeneration, ""), (OwnTranslation, ', "source": "a"')):
        request = read_request(cls, f'{{"{name}": {value}{own}}}')
        assert short_options_of(request) == {name: value}
        with pytest.raises(ConfigError, match=f"there is no such option. Did you mean '{name}'"):
            read_request(cls, f'{{"{name}s": {value}{own}}}')


def test_filters_of_short_options_act_in_the_documented_order() -> None:
    filters = [form.plugin for form in SHORT_FORMS.values() if not form.strategy]
    assert filters == sorted(filters, key=ORDER.index)
    short = {"min_p": 0.1, "top_p": 0.9, "top_k": 3, "temperature": 2, "repetition_penalty": 1.5}
    described = resolve(None, [], REGISTRIES, short).description
    assert [each.partition(":")[0] for each in described] == [*filters, "sample"]


def test_values_that_stand_for_nothing() -> None:
    assert str(resolve(None, [], REGISTRIES, {"top_k": 0, "min_p": None})) == "sample"
    with pytest.raises(UsageError, match="Did you mean 'temperature'"):
        resolve(None, [], REGISTRIES, {"temprature": 0.5})


def test_plugins_themselves_may_stand_where_a_spec_may() -> None:
    chain = resolve(Greedy(), TopK(3), REGISTRIES, {"temperature": 0.5})
    assert chain.filters == (TopK(3), Temperature(0.5))
    assert repr(chain) == "Chain('TopK:k=3 | temperature:t=0.5 | Greedy')"
    assert resolve(None, [TopK(3), "temperature:2"], REGISTRIES).filters == (
        TopK(3),
        Temperature(2.0),
    )
    with pytest.raises(UsageError, match="name two strategies"):
        resolve(Greedy(), [], REGISTRIES, {"beam": 3})
    with pytest.raises(UsageError, match="A filter is a SPEC or a callable, not int"):
        resolve(None, [3], REGISTRIES)  # type: ignore[list-item]


def test_a_request_replaces_what_it_names_itself() -> None:
    words = Decoding("beam:width=3", ("top-k:3", "min-p:0.1"), (("temperature", 0.5),))
    assert words.replaced_by() == words
    assert words.replaced_by(short={"beam": 2}) == Decoding(
        None, words.filters, (("temperature", 0.5), ("beam", 2))
    )
    assert words.replaced_by(short={"top_k": 4}).filters == ("min-p:0.1",)
    assert words.replaced_by(filters=["temperature:2"]) == Decoding(
        "beam:width=3", ("temperature:2",), ()
    )
    assert Decoding(short=(("beam", 2),)).replaced_by("greedy") == Decoding("greedy")


def test_plugins_of_further_folders(tmp_path: Path) -> None:
    (tmp_path / "same.py").write_text(
        "def filter():\n    return lambda log_probs, beam: log_probs\n"
    )
    assert str(resolve(None, "same", default_registries([str(tmp_path)]))) == "same | sample"
    with pytest.raises(PluginError, match="There is no filter 'same'"):
        resolve(None, "same", default_registries())
