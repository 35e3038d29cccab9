"""Metrics on two replicas are those of one."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest


@pytest.mark.conformance
def test_two_replicas_give_the_results_of_one(tmp_path):
    out = tmp_path / "results.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.metrics.mirrored_check", str(out)],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    assert list(results["one"]) == ["fid43", "ppl_wfull-21", "ls_z-50", "ls_w-50"]
    for name, value in results["one"].items():
        # Path lengths are differences of nearly equal images.
        tolerance = 2e-3 if "ppl" in name else 1e-5
        np.testing.assert_allclose(results["two"][name], value, rtol=tolerance, err_msg=name)
