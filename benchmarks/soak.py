"""Kills a training run at random moments and continues it, again and again.

`make soak`, or `python -m benchmarks.soak --kills=50`. Each finished run must hold the same bits as
one that nobody disturbed, network and statistics alike; prints counts, and exits with 1 if one
does not.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 20.0  # seconds from a start to a kill, of which a start takes about half
# Grows and fades within half a minute; a checkpoint every second or so.
SETTINGS = (
    "--preset=demo-stylegan",
    "--total_kimg=6",
    "--set=G.fmap_max=8",
    "--set=D.fmap_max=8",
    "--set=dataset.max_label_size=full",
    "--set=dataset.mirror_augment=True",
    "--set=schedule.lod_training_kimg=1.2",
    "--set=schedule.lod_transition_kimg=1.2",
    "--set=schedule.tick_kimg_base=0.3",
    "--set=grid.size=2x2",
)


def start(run_dir: Path) -> subprocess.Popen:
    """A process that trains in a directory, from where it stands."""
    command = [sys.executable, "run_training.py", f"--run_dir={run_dir}", *SETTINGS]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def results(run_dir: Path) -> tuple[dict[str, bytes], list[dict]]:
    """What a finished run computed: weights, and statistics without times and memory."""
    arrays = load_file(run_dir / "network-final.safetensors")
    lines = (run_dir / "stats.jsonl").read_text(encoding="utf-8").splitlines()
    records = [
        {k: v for k, v in json.loads(line).items() if not k.startswith(("Timing/", "Resources/"))}
        for line in lines
    ]
    return {name: array.tobytes() for name, array in arrays.items()}, records


def finish(process: subprocess.Popen) -> None:
    """Waits for a run that must end well."""
    _, errors = process.communicate()
    if process.returncode:
        sys.exit(f"a run ended with {process.returncode}: {errors.decode(errors='replace')}")


def disturbed(run_dir: Path, kills: int, moments: random.Random) -> int:
    """Runs to the end with up to `kills` kills; returns how many there were."""
    done = 0
    while done < kills:
        process = start(run_dir)
        try:
            process.wait(moments.uniform(0, LONGEST))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            done += 1
            continue
        finish(process)
        return done
    finish(start(run_dir))
    return done


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    args = parser.parse_args()
    moments, kills, runs, equal = random.Random(args.seed), 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        finish(start(Path(directory, "undisturbed")))
        expected = results(Path(directory, "undisturbed"))
        while kills < args.kills:
            run_dir = Path(directory, f"run-{runs}")
            kills += disturbed(run_dir, args.kills - kills, moments)
            runs += 1
            equal += results(run_dir) == expected
            print(f"{kills} kills, {runs} runs, {equal} bit-equal", flush=True)
    return 0 if equal == runs else 1


if __name__ == "__main__":
    sys.exit(main())
