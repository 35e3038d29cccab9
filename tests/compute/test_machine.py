"""GPUs are counted as TensorFlow will see them, and memory as the system allows it."""

import pytest

from compute import machine


@pytest.mark.parametrize(
    ("visible", "count"),
    [(None, 3), ("", 0), ("-1", 0), ("1", 1), ("0,2", 2), ("0, -1, 2", 1), ("0,1,2,3,4", 3)],
)
def test_gpus(tmp_path, visible, count):
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert machine.num_gpus(environment, tmp_path) == count


def test_no_devices(tmp_path):
    assert machine.num_gpus({}, tmp_path / "none") == 0


def test_memory(tmp_path):
    limit = tmp_path / "memory.max"
    whole = machine.memory_bytes(limit)
    assert whole > 2**28
    limit.write_text("max\n")
    assert machine.memory_bytes(limit) == whole
    limit.write_text("1000000\n")
    assert machine.memory_bytes(limit) == 1_000_000
