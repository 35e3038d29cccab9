"""Names of metrics, with and without a number of samples."""

import pytest

from dnnlib.errors import UserError
from metrics import inception_score, ppl, ppl2, precision_recall, registry
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
        ("fid50k_full", None, "fid50k_full", 50_000),
        ("fid_full", 123, "fid123_full", 123),
        ("kid1k", None, "kid1k", 1_000),
        ("kid50k_full", 700, "kid700_full", 700),
        ("pr50k3", None, "pr50k3", 50_000),
        ("pr1k3", None, "pr1k3", 1_000),
        ("pr2003", None, "pr2003", 200),
        ("pr3", 33_333, "pr333333", 33_333),
        ("pr5k3_full", None, "pr5k3_full", 5_000),
        ("is5k", None, "is5k", 5_000),
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
    assert registry.parse("is50k").keys == ("is50k_mean", "is50k_std")
    assert registry.parse("pr50k3").keys == ("pr50k3_precision", "pr50k3_recall")
    full = registry.parse("pr50k3_full").keys
    assert full == ("pr50k3_full_precision", "pr50k3_full_recall")
    assert registry.parse("kid1k_full").keys == ("kid1k_full",)


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
        ("kid1", r"metric kid1: 1 samples; expected 2 to"),
        ("pr33", r"metric pr33: 3 samples; expected 4 to"),
        ("pr50k", r"unknown metric 'pr50k' \(did you mean 'pr50k3'\?\)"),
        ("is9", r"metric is9: 9 samples; expected 10 to"),
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
        metric = registry.parse(name)
        assert metric.count == (2 * count if name.startswith("ppl_") else count), name
        if name == "ppl2_wend":
            assert default["minibatch_per_gpu"] == ppl2.NOISE_GROUP
            assert default["epsilon"] == ppl.EPSILON
        assert default.get("num_splits", inception_score.SPLITS) == inception_score.SPLITS
        assert default.get("nhood_size", precision_recall.K) == precision_recall.K


@pytest.mark.parametrize(
    ("name", "fakes", "total", "reals"),
    [
        ("fid50k", 50_000, 30_000, 50_000),  # again from the beginning
        ("fid50k_full", 50_000, 70_000, 70_000),
        ("fid5k_full", 5_000, 30, 30),
        ("kid50k", 50_000, 30_000, 30_000),
        ("kid50k", 50_000, 70_000, 50_000),
        ("kid50k_full", 50_000, 70_000, 70_000),
        ("kid50k_full", 50_000, 1_200_000, 1_000_000),
        ("pr50k3", 50_000, 3_000, 3_000),
        ("pr50k3_full", 50_000, 1_200_000, 200_000),
        ("pr1k3_full", 1_000, 70_000, 70_000),
    ],
)
def test_numbers_of_reals(name, fakes, total, reals):
    metric = registry.parse(name)
    assert metric.count == fakes
    assert metric.declaration.reals.number(fakes, total) == reals
