"""Spawned processes do not import what lies in the current directory."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """\
import sys

sys.path.insert(0, {root!r})
import numpy as np
from metrics.svm_pool import Problem, solve_all

if __name__ == "__main__":
    latents = np.random.RandomState(0).randn(40, 4)
    problem = Problem("z", np.arange(40), (latents[:, 0] > 0).astype(int))
    assert len(solve_all({{"z": latents}}, [problem, problem], "primal", workers=2)) == 2
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="there is no way to start them so")
def test_fits_import_nothing_from_the_current_directory(tmp_path):
    here, script = tmp_path / "here", tmp_path / "script.py"
    here.mkdir()
    for name in ("enum.py", "multiprocessing.py"):
        (here / name).write_text("open('marker', 'w').close()\n")
    script.write_text(SCRIPT.format(root=str(ROOT)))
    subprocess.run([sys.executable, script], cwd=here, check=True)
    assert not (here / "marker").exists()
