"""Several replicas: two logical CPU devices in one process, and two processes on loopback."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import networks
from tests.training.small import assert_same_bits
from training import checkpoint

pytestmark = pytest.mark.conformance
ROOT = Path(__file__).parents[2]


def test_two_mirrored_replicas_average_their_gradients():
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.mirrored_check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "mirrored check passed" in done.stdout


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_two_workers_end_with_identical_weights(tmp_path):
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    classifier = tmp_path / "classifier-any.safetensors"
    D = networks.build(
        "D_basic", seed=0, resolution=8, fmap_base=32, fmap_max=8, mbstd_group_size=0
    )
    networks.save(classifier, D=D)
    processes, outputs = [], []
    for index in range(2):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        outputs.append(tmp_path / f"weights{index}.npz")
        log = open(tmp_path / f"log{index}.txt", "w")  # noqa: SIM115 (closed by the process's end)
        command = [sys.executable, "-m", "tests.training.worker_check", run_dir, outputs[-1]]
        command.append(classifier)
        env = {**os.environ, "TF_CONFIG": json.dumps(task)}
        processes.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log))
        log.close()
    try:
        codes = [process.wait(timeout=600) for process in processes]
    finally:
        for process in processes:
            process.kill()
    logs = "\n".join((tmp_path / f"log{i}.txt").read_text()[-3000:] for i in range(2))
    assert codes == [0, 0], logs
    weights = [dict(np.load(path)) for path in outputs]
    assert_same_bits(*weights)
    assert len(weights[0]) > 100
    assert weights[0]["pl_mean"] > 0
    assert "augment_p" in weights[0]
    # One of them wrote the run's files.
    assert len(checkpoint.paths(run_dir)) == checkpoint.KEEP
    assert (run_dir / "network-final.safetensors").exists()
    assert len(list(run_dir.glob("events.out.tfevents.*.v2"))) == 1
    records = (run_dir / "metric-ls-16.jsonl").read_text().splitlines()
    assert [json.loads(record)["cur_nimg"] for record in records] == [8, 16, 56]
