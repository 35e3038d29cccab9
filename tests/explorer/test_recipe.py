"""Recipes from anywhere: what is none is refused in one sentence, and nothing else happens."""

import json

import pytest
from hypothesis import given, strategies as st

from dnnlib.errors import UserError
from explorer import messages, recipe
from explorer.recipe import Recipe, parse

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
fields = st.sampled_from([*recipe._FIELDS, "path", "__class__"])
pairs = st.lists(st.tuples(st.integers(-1, 5) | st.floats(), st.floats() | st.integers()))
likely = json_values | pairs.map(lambda rows: [list(row) for row in rows])


def made_or_said(function, value):
    """A result, or what a UserError says."""
    try:
        return function(value)
    except UserError as error:
        return str(error)


@given(st.dictionaries(fields, likely) | json_values)
def test_anything_is_a_recipe_or_one_sentence(value):
    made = made_or_said(parse, value)
    if isinstance(made, str):
        assert 0 < len(made) < 400
        assert "\n" not in made
        return
    assert 1 <= len(made.seeds) <= recipe.MAX_SEEDS
    assert all(0 <= seed <= recipe.MAX_SEED and weight for seed, weight in made.seeds)
    assert made.labels is None or sum(w for _, w in made.labels) == pytest.approx(1)
    hash(made)  # all the way down


@given(st.text() | st.binary())
def test_any_text_is_a_request_or_one_sentence(text):
    with pytest.raises(messages.BadMessage):
        messages.parse(text, 1)


@given(st.dictionaries(st.sampled_from(["type", "request", "recipe", "since", "layer"]), likely))
def test_any_object_is_a_request_or_one_sentence(value):
    text = json.dumps({"type": "picture", "request": 1, **value})
    made = made_or_said(lambda text: messages.parse(text, 2), text)
    if isinstance(made, str):
        return
    assert made.number is None or made.number >= 0
    assert 0 <= made.network < 2


def test_what_is_not_given_is_usual():
    assert parse({}) == Recipe() == parse(dict.fromkeys(recipe._FIELDS))


def test_all_fields():
    made = parse(
        {
            "which": "G",
            "seeds": [[5, 0], [7, 1], [8, -0.5]],
            "labels": [[1, 1], [0, 3], [2, 0]],
            "psi": 1,
            "cutoff": 4.0,
            "noise": ["fixed", "none"],
            "noise_seed": 2**32 - 1,
            "mixing": [[3, 9]],
            "edits": {"up": -2, "none": 0},
            "projected": "me",
            "lod": 1.5,
        }
    )
    assert made == Recipe(
        which="G",
        seeds=((7, 1.0), (8, -0.5)),
        labels=((1, 0.25), (0, 0.75)),
        psi=1.0,
        cutoff=4,
        noise=("fixed", "none"),
        noise_seed=2**32 - 1,
        mixing=((3, 9),),
        edits=(("up", -2.0),),
        projected="me",
        lod=1.5,
    )
    assert made.seed == 7
    assert made.drawn_from == 2**32 - 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "recipe: expected an object"),
        ({"path": "x"}, "unknown field 'path'"),
        ({"which": "D"}, "which: expected Gs or G, got 'D'"),
        ({"seeds": []}, "seeds: expected 1 to 8 pairs"),
        ({"seeds": [[1, 0]]}, "not all of weight 0"),
        ({"seeds": [[True, 1]]}, "seeds: expected a whole number"),
        ({"seeds": [[-1, 1]]}, "whole number from 0 to 4294967295, got -1"),
        ({"seeds": [[2**32, 1]]}, "got 4294967296"),
        ({"seeds": [[1, 1]] * 9}, "seeds: expected a list of at most 8"),
        ({"seeds": [[1, 1, 1]]}, "seeds: expected pairs"),
        ({"labels": [[0, -1], [1, 2]]}, "labels: expected pairs [class, weight]"),
        ({"labels": []}, "labels: expected pairs"),
        ({"psi": float("nan")}, "psi: expected a number"),
        ({"psi": 1e9}, "psi: expected a number from -1000 to 1000"),
        ({"cutoff": 2.5}, "cutoff: expected a whole number"),
        ({"noise": "loud"}, "noise: expected fixed, random, none"),
        ({"noise": []}, "noise: expected"),
        ({"mixing": [[1, 2], [1, 3]]}, "mixing: expected each layer once"),
        ({"edits": {"": 1}}, "edits: expected a name"),
        ({"edits": {"up": 1000}}, "edits: expected a number from -100 to 100"),
        ({"lod": -1}, "lod: expected a number from 0"),
        ({"projected": "x" * 300}, "projected: expected a name"),
    ],
)
def test_what_is_refused(value, said):
    with pytest.raises(UserError) as caught:
        parse(value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said", "number"),
    [
        ("{", "is not valid JSON", None),
        ("[1]", "no object", None),
        ('{"type": "picture", "request": 3, "recipe": {"psi": NaN}}', "NaN", None),
        ('{"type": "picture", "request": -3}', "request: expected", None),
        ('{"type": "picture", "request": 3, "network": 1}', "network: expected", 3),
        ('{"type": "picture", "request": 3, "preview": 1}', "preview: expected", 3),
        ('{"type": "inside", "request": 3, "layer": -1}', "layer: expected", 3),
        ('{"type": "picture", "request": 3, "file": "/etc/passwd"}', "unknown field 'file'", 3),
        ('{"type": "load", "request": 3}', "type: expected one of picture", 3),
        ('{"type": "run", "since": "x"}', "since: expected", None),
        ("[" * 100_000, "deep", None),
    ],
)
def test_messages_that_are_none(text, said, number):
    with pytest.raises(messages.BadMessage) as caught:
        messages.parse(text, 1)
    assert said in str(caught.value)
    assert caught.value.number == number
