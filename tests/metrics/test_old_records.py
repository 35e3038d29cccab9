"""Records that were written before metrics declared themselves are found, and shown as before."""

import json

import pytest

from dnnlib.download import file_sha256
from metrics.evaluation import Evaluation, evaluate
from metrics.features.classifiers import Classifier
from metrics.registry import parse_list
from tests.metrics import small
from tests.metrics.small import stand_ins  # noqa: F401

pytestmark = pytest.mark.usefixtures("stand_ins")
CLASSIFIER = "8f1d15fbda391161a7fc9889659dfd46cadd3a554f7da4661777023aedfaf3b5"
# As they were written, but for the network's hash.
RECORDS = {
    "fid24": """{"metric": "fid24", "results": {"fid24": 4.798836503458698},
        "network_file": "n.safetensors", "cur_nimg": 5000, "provenance": {
        "network_sha256": "NETWORK", "num_fakes": 24, "fakes": "fakes",
        "labels": "drawn from the data set", "truncation": null, "seed": 0,
        "precision": "float32", "version": 1, "feature_networks": {"inception.stand-in":
        "5555555555555555555555555555555555555555555555555555555555555555"},
        "num_reals": 24, "mirror": true, "replace_damaged": true, "dataset": "synthetic-32-4",
        "dataset_content": "8182417b00bc43dcc0e11af4eafbed81e65243a7"}, "details": {},
        "seconds": 2.2, "time": "2026-11-20T02:29:11Z"}""",
    "ppl_wend-10": """{"metric": "ppl_wend-10", "results": {"ppl_wend-10": 92822.53996582031},
        "network_file": "n.safetensors", "cur_nimg": 5000, "provenance": {
        "network_sha256": "NETWORK", "num_fakes": 10, "fakes": "paths",
        "labels": "drawn from the data set", "truncation": null, "seed": 0,
        "precision": "float32", "version": 1, "feature_networks": {"vgg16.stand-in":
        "5555555555555555555555555555555555555555555555555555555555555555"},
        "dataset": "synthetic-32-4",
        "dataset_content": "8182417b00bc43dcc0e11af4eafbed81e65243a7"}, "details": {},
        "seconds": 2.3, "time": "2026-11-20T02:29:14Z"}""",
    "ls-20": """{"metric": "ls-20", "results": {"ls_z-20": 1.25, "ls_w-20": 1.0},
        "network_file": "n.safetensors", "cur_nimg": 5000, "provenance": {
        "network_sha256": "NETWORK", "num_fakes": 20, "fakes": "samples",
        "labels": "drawn from the data set", "truncation": null, "seed": 0,
        "precision": "float32", "version": 1, "feature_networks": {"bright":
        "8f1d15fbda391161a7fc9889659dfd46cadd3a554f7da4661777023aedfaf3b5"},
        "svm": "dual", "dataset": "synthetic-32-4",
        "dataset_content": "8182417b00bc43dcc0e11af4eafbed81e65243a7"},
        "details": {"bits": {"z": {"bright": 0.322}, "w": {"bright": 0.0}},
        "SVMs stopped early": 0}, "seconds": 65.0, "time": "2026-11-20T02:29:18Z"}""",
}
LINES = [
    "fid24 4.7988  [n.safetensors (sha256 NETWORK); synthetic-32-4 (content 8182417b00bc), "
    "24 reals, mirrored; 24 fakes, no truncation, seed 0; labels drawn from the data set; "
    "inception.stand-in (sha256 555555555555); metrics version 1]  2s  (as recorded)",
    "ppl_wend-10 92822.54  [n.safetensors (sha256 NETWORK); synthetic-32-4 (content "
    "8182417b00bc); 10 paths, no truncation, seed 0; labels drawn from the data set; "
    "vgg16.stand-in (sha256 555555555555); metrics version 1]  2s  (as recorded)",
    "ls_z-20 1.2500  ls_w-20 1.0000  [n.safetensors (sha256 NETWORK); synthetic-32-4 (content "
    "8182417b00bc); 20 samples, no truncation, seed 0; labels drawn from the data set; bright "
    "(sha256 8f1d15fbda39); metrics version 1]  1m 05s  (as recorded)",
]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "n.safetensors"
    return small.save(path, small.generator(label_size=4), cur_nimg=5000)


def test_old_records_are_found(tmp_path, network, monkeypatch):
    sha256 = file_sha256(network)
    for name, record in RECORDS.items():
        line = " ".join(record.split()).replace("NETWORK", sha256)
        (tmp_path / f"metric-{name}.jsonl").write_text(line + "\n")
    monkeypatch.setattr(Evaluation, "run", None)  # is not reached
    said = []
    settings = {"dataset": "synthetic-32-4", "mirror": True, "replace_damaged": True}
    with small.tools(tmp_path, say=said.append, **settings) as tools:
        tools._classifiers = [Classifier("bright", "bright", CLASSIFIER, None)]
        records = evaluate(network, parse_list(",".join(RECORDS)), tools, run_dir=tmp_path)
    assert said == [line.replace("NETWORK", sha256[:12]) for line in LINES]
    assert [json.dumps(record["results"]) for record in records] == [
        '{"fid24": 4.798836503458698}',
        '{"ppl_wend-10": 92822.53996582031}',
        '{"ls_z-20": 1.25, "ls_w-20": 1.0}',
    ]


def test_the_solver_is_part_of_it(tmp_path, network):
    """'svm' is kept for what uses it, and for nothing else."""
    with small.tools(tmp_path, dataset="synthetic-32-4", svm="primal") as tools:
        tools._classifiers = [Classifier("bright", "bright", CLASSIFIER, None)]
        evaluation = Evaluation(network, tools)
        fid, ls = (evaluation.provenance(metric) for metric in parse_list("fid24,ls-20"))
    assert ls["svm"] == "primal"
    assert "svm" not in fid
    assert "num_reals" not in ls
