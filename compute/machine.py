"""What this machine has, as far as it shows without TensorFlow."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Optional


def num_gpus(environment: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> int:
    """The NVIDIA GPUs that programs here may use: device files, limited by CUDA_VISIBLE_DEVICES."""
    with contextlib.suppress(OSError):
        present = sum(
            re.fullmatch(r"nvidia\d+", path.name) is not None for path in devices.iterdir()
        )
        visible = environment.get("CUDA_VISIBLE_DEVICES")
        if visible is None:
            return present
        chosen = [name.strip() for name in visible.split(",")]
        # CUDA stops at the first that is none.
        ends = [i for i, name in enumerate(chosen) if name in ("", "-1", "NoDevFiles")]
        return min(ends[0] if ends else len(chosen), present)
    return 0


def memory_bytes(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> Optional[int]:
    """Main memory that this process may take; None where the system does not tell."""
    known = []
    with contextlib.suppress(ValueError, OSError, AttributeError):
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with contextlib.suppress(ValueError, OSError):
        known.append(int(limit.read_text()))  # 'max' without a limit
    known = [number for number in known if number > 0]
    return min(known) if known else None
