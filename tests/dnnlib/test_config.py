import dataclasses
import json
from typing import Optional, Union

import pytest

from dnnlib import config
from dnnlib.errors import UserError


@dataclasses.dataclass(frozen=True)
class Inner:
    rates: dict[int, float] = dataclasses.field(default_factory=dict)
    counts: dict[int, int] = dataclasses.field(default_factory=lambda: {8: 64})
    taps: tuple[float, ...] = (1.0, 2.0)


@dataclasses.dataclass(frozen=True)
class Outer:
    name: str
    steps: int = 4
    scale: float = 1.0
    fast: bool = False
    folder: Optional[str] = None
    limit: Optional[float] = None
    labels: Union[int, str] = 0
    options: dict = dataclasses.field(default_factory=lambda: {"func_name": "f", "width": 64})
    inner: Inner = Inner()


def over(*overrides):
    return config.apply_overrides(Outer("x"), overrides)


def test_round_trip_through_json():
    value = Outer(
        "ä",
        limit=2.5,
        labels="full",
        options={"func_name": "g", "deep": {"a": [1, None, True, "s", 0.1]}},
        inner=Inner(rates={128: 0.0015, 1024: 0.003}, taps=(0.1, 3.0)),
    )
    text = json.dumps(config.to_dict(value), allow_nan=False)
    assert config.from_dict(Outer, json.loads(text)) == value


def test_missing_keys_take_defaults():
    assert config.from_dict(Outer, {"name": "x"}) == Outer("x")
    with pytest.raises(UserError, match=r"^name: missing"):
        config.from_dict(Outer, {})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "x", "stepps": 1}, r"unknown key 'stepps' \(did you mean 'steps'\?\)"),
        ({"name": "x", "inner": {"Rates": {}}}, r"'inner.Rates' \(did you mean 'rates'\?\)"),
        ({"name": "x", "inner": {"zzz": {}}}, r"'inner.zzz' \(known: rates, counts, taps\)"),
        ({"name": "x", "inner": 3}, "^inner: expected a table of options, not 3"),
        ({"name": "x", "steps": 1.5}, "^steps=1.5: expected a whole number"),
        ({"name": "x", "steps": True}, "^steps=True: expected a whole number"),
        ({"name": "x", "steps": "4"}, "^steps='4': expected a whole number"),
        ({"name": "x", "scale": float("nan")}, "^scale=nan: expected a number"),
        ({"name": "x", "fast": 1}, "^fast=1: expected True or False"),
        ({"name": 3}, "^name=3: expected text"),
        ({"name": "x", "labels": 1.5}, "^labels=1.5: expected a whole number or text"),
        ({"name": "x", "inner": {"rates": {"a": 1}}}, "^inner.rates.a: expected a whole number"),
        ({"name": "x", "inner": {"rates": {"8": "a"}}}, "^inner.rates.8='a': expected a number"),
        ({"name": "x", "inner": {"rates": [1]}}, r"^inner.rates=\[1\]: expected a table"),
        ({"name": "x", "inner": {"taps": [1, "a"]}}, "^inner.taps='a': expected a number"),
        ({"name": "x", "options": {"a": {1, 2}}}, "^options.a="),
        ([], "^Outer: expected a table"),
    ],
)
def test_wrong_values_are_named(values, message):
    with pytest.raises(UserError, match=message):
        config.from_dict(Outer, values)


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ("steps=7", "steps", 7),
        (" steps = 7 ", "steps", 7),
        ("scale=2", "scale", 2.0),
        ("scale=-1e-3", "scale", -0.001),
        ("fast=True", "fast", True),
        ("fast=true", "fast", True),
        ("fast=FALSE", "fast", False),
        ("name=1024", "name", "1024"),
        ("name='a b'", "name", "a b"),
        ("name=a=b", "name", "a=b"),
        ("name=None", "name", "None"),
        ("folder=None", "folder", None),
        ("folder=null", "folder", None),
        ("folder=/data/12", "folder", "/data/12"),
        ("folder=12", "folder", "12"),
        ("limit=3", "limit", 3.0),
        ("labels=full", "labels", "full"),
        ("labels=10", "labels", 10),
        ("inner.taps=[1,3,3,1]", "inner.taps", (1.0, 3.0, 3.0, 1.0)),
        ("inner.taps=1,2", "inner.taps", (1.0, 2.0)),
        ("inner.counts.32=16", "inner.counts", {8: 64, 32: 16}),
        ("inner.counts={32: 16}", "inner.counts", {32: 16}),
        ('inner.counts={"32": 16}', "inner.counts", {32: 16}),
        ("options.width=auto", "options", {"func_name": "f", "width": "auto"}),
        ("options.width=None", "options", {"func_name": "f", "width": None}),
        ("options.new=(1,2)", "options", {"func_name": "f", "width": 64, "new": [1, 2]}),
        ("options.a.b=1", "options", {"func_name": "f", "width": 64, "a": {"b": 1}}),
        ('options={"func_name": "g"}', "options", {"func_name": "g"}),
    ],
)
def test_overrides(override, path, expected):
    value = over(override)
    for part in path.split("."):
        value = getattr(value, part)
    assert value == expected
    assert type(value) is type(expected)


def test_overrides_apply_in_order_and_leave_the_original_alone():
    original = Outer("x")
    changed = config.apply_overrides(original, ["steps=5", "inner.counts.4=1", "steps=6"])
    assert (changed.steps, changed.inner.counts) == (6, {8: 64, 4: 1})
    assert original == Outer("x")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stteps=1", r"unknown key 'stteps' \(did you mean 'steps'\?\)"),
        ("inner.rate.8=1", r"unknown key 'inner.rate' \(did you mean 'rates'\?\)"),
        ("steps", "'steps': expected key=value"),
        ("=3", "expected key=value"),
        ("steps=abc", "steps='abc': expected a whole number"),
        ("steps=", "steps='': expected a whole number"),
        ("scale=inf", "scale='inf': expected a number"),
        ("scale=1e999", "scale=inf: expected a number"),
        ("fast=1", "fast=1: expected True or False"),
        ("steps.deeper=1", "steps.deeper: steps has no parts"),
        ("options.width.x=1", "options.width.x: options.width has no parts"),
        ("inner=3", "inner: expected a table"),
        ("inner.counts.x=3", "inner.counts.x: expected a whole number"),
        ("inner.counts.8=3.5", "inner.counts.8=3.5: expected a whole number"),
    ],
)
def test_wrong_overrides_are_named(override, message):
    with pytest.raises(UserError, match=message):
        over(override)


def test_values_are_never_executed(tmp_path):
    marker = tmp_path / "executed"
    code = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    assert over(f"name={code}").name == code
    assert over(f"options.width={code}").options["width"] == code
    assert over("options.width=" + "[" * 100_000).options["width"].startswith("[[")
    assert not marker.exists()


def test_format_lists_every_setting_in_the_form_overrides_accept():
    value = over(
        "labels=full",
        "inner.rates={8: 0.1, 16: 0.2}",
        "options={'a': 'None', 'b': None, 'c': '7', 'd': [1], 'e': ''}",
        "folder='12'",
        "inner.counts={}",
    )
    lines = config.format(value, indent="").splitlines()
    assert [line.split("=")[0].strip() for line in lines][-5:] == [
        "options.e",
        "inner.rates.8",
        "inner.rates.16",
        "inner.counts",
        "inner.taps",
    ]
    empty = dataclasses.replace(Outer("y"), options={})
    assert config.apply_overrides(empty, lines) == value


def test_diff_names_every_difference():
    old, new = Outer("x"), over("steps=5", "inner.counts.32=16", "options={'func_name': 'f'}")
    assert config.diff(old, old) == []
    assert config.diff(old, new) == [
        ("steps", 4, 5),
        ("options.width", 64, None),
        ("inner.counts.32", None, 16),
    ]
    assert config.diff(over("options.width=1"), over("options.width=True")) == [
        ("options.width", 1, True)
    ]
    assert config.diff(over("options.width=1"), over("options.width=1.0")) == []
