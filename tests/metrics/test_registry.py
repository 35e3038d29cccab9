"""Names of metrics, with and without a number of samples."""

import pytest

from dnnlib.errors import UserError
from metrics import ppl, ppl2, registry
from tests import golden


@pytest.mark.parametrize(
    ("text", "count", "name", "samples"),
    [
        ("fid50k", None, "fid50k", 50_000),
        ("fid", None, "fid50k", 50_000),
        ("fid5k", None, "fid5k", 5_000),
        ("fid", 123, "fid123", 123),
        ("fid5k", 100, "fid5k", 5_000),  # its own number wins
        ("fid50k", 100, "fid100", 100),  # the standard name is no number of the user's
        ("ppl_zfull", None, "ppl_zfull", 100_000),
        ("ppl_wend-10k", None, "ppl_wend-10k", 10_000),
        ("ppl_wend", 100_000, "ppl_wend", 100_000),
        ("ppl2_wend", None, "ppl2_wend", 50_000),
        ("ppl2_wend-50k", None, "ppl2_wend", 50_000),
        ("ppl2_wend-1k", None, "ppl2_wend-1k", 1_000),
        ("ls", 2000, "ls-2k", 2000),
        ("ls-200k", None, "ls", 200_000),
    ],
)
def test_parse(text, count, name, samples):
    metric = registry.parse(text, count)
    assert (metric.name, metric.count) == (name, samples)


def test_options_and_keys():
    metric = registry.parse("ppl_wend")
    assert metric.family == "ppl_wend"
    assert dict(metric.options) == {"space": "w", "sampling": "end"}
    assert metric.key("") == "ppl_wend"
    assert registry.parse("ls-20k").keys == ("ls_z-20k", "ls_w-20k")
    assert registry.parse("ls").keys == ("ls_z", "ls_w")


def test_lists():
    papers = [f"ppl_{space}{sampling}" for sampling in ("full", "end") for space in "zw"]
    assert [m.name for m in registry.parse_list("all")] == ["fid50k", *papers, "ls"]
    assert [m.name for m in registry.parse_list("fid5k, ls,fid5k")] == ["fid5k", "ls"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fid5m", r"unknown metric 'fid5m' \(did you mean 'fid50k'\?\); known: fid50k, ppl_zfull"),
        ("ppl", r"unknown metric 'ppl'"),
        ("fid1", r"metric fid1: 1 samples; expected 2 to 10,000,000"),
        ("ls-4", r"metric ls-4: 4 samples; expected 8 to"),
        ("fid999999999k", r"expected 2 to 10,000,000"),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(UserError, match=message):
        registry.parse(text)


def test_golden_defaults_of_stylegan2():
    """Its numbers of samples, but for the paths of what StyleGAN's paper had with twice as many."""
    for default in golden.load("stylegan2/misc2/metric_defaults2.json"):
        name, count = default["name"], default.get("num_images") or default["num_samples"]
        if name not in registry.standard_names():
            continue
        metric = registry.parse(name)
        assert metric.count == (2 * count if name.startswith("ppl_") else count), name
        if name == "ppl2_wend":
            assert default["minibatch_per_gpu"] == ppl2.NOISE_GROUP
            assert default["epsilon"] == ppl.EPSILON
