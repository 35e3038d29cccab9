"""Names of metrics, with and without a number of samples."""

import pytest

from dnnlib.errors import UserError
from metrics import registry


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
    assert [m.name for m in registry.parse_list("all")] == registry.standard_names()
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
