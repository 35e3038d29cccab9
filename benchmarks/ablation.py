"""The paper's ablation in miniature: several presets, one data set, one budget, one table.

    python -m benchmarks.ablation --total_kimg=60 --set dataset.resolution=16    # docs/ablations.md
    python -m benchmarks.ablation --presets=table1-b,table1-f --total_kimg=20
    python -m benchmarks.ablation --base=ffhq256-1gpu --dataset=my-photos --set seed=3

Every configuration is `--base` with one row on top (docs/ablations.md), trained by run_training.py
in a process of its own with the same number of images and the same schedule, the base's: row A
starts where the others do. What was trained already is not trained again, so an interrupted
report continues. Writes `ablation.md`, the table, and `<row>.png`, a grid of each, into --out. On
the built-in digits it also asks a classifier that was trained on real digits, and measures how far
the images are from them (benchmarks/digits_quality.py tells what the columns mean).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import digits_quality
from training import presets

ROWS = "table1-a,table1-b,table1-c,table1-d,table1-e,table1-f,spectral-norm"


def train(base: str, row: str, run_dir: Path, flags: list[str]) -> None:
    """Trains `base` with `row` in run_dir, or goes on with it; CalledProcessError if it fails."""
    preset = f"{base}+{row}" if row != base else base
    command = [sys.executable, "run_training.py", f"--preset={preset}", f"--run_dir={run_dir}"]
    subprocess.run([*command, *flags], check=True)


def speed_and_losses(run_dir: Path) -> dict:
    """From stats.jsonl: images/s at the last resolution, losses over the last quarter."""
    ticks = [json.loads(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]
    last = [t for t in ticks if t["Progress/resolution"] == ticks[-1]["Progress/resolution"]]
    late = ticks[-max(len(ticks) // 4, 1) :]
    return {
        "kimg": ticks[-1]["Progress/kimg"],
        # The first tick of a resolution traces and compiles.
        "images/s": statistics.median(1000 / t["Timing/sec_per_kimg"] for t in last[1:] or last),
        "loss G": statistics.mean(t["Loss/G"] for t in late),
        "loss D": statistics.mean(t["Loss/D"] for t in late),
    }


def quality(run_dir: Path, dataset_name: str, count: int) -> dict:
    """How generated images compare with real ones; only for digits."""
    if dataset_name != "digits":
        return {}
    import networks

    _, _, Gs = networks.load(run_dir / "network-final.safetensors")
    model, *_ = digits_quality.classifier(Gs.resolution)
    images = digits_quality.generate(Gs, count, seed=1)
    wanted = digits_quality.classes_asked_for(Gs, count)
    return {
        **digits_quality.describe(model, images, wanted),
        "distance": digits_quality.frechet_distance(images, Gs.resolution),
    }


_FORMATS = {
    "kimg": "{:.0f}", "images/s": "{:.0f}", "loss G": "{:.2f}", "loss D": "{:.2f}",
    "classes": "{}", "rarest": "{:.1%}", "confidence": "{:.2f}", "sure": "{:.0%}",
    "agreement": "{:.1%}", "nearest": "{:.2f}", "distance": "{:.2f}",
}  # fmt: skip


def table(results: dict) -> str:
    """Markdown: one line for each row."""
    columns = [key for key in _FORMATS if any(key in result for result in results.values())]
    lines = ["| row | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for row, result in results.items():
        cells = [_FORMATS[key].format(result[key]) if key in result else "–" for key in columns]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", default=ROWS, help="rows, separated by commas")
    parser.add_argument("--base", default="demo-stylegan", help="the preset that they change")
    parser.add_argument("--dataset", default=None, help="instead of the base's")
    parser.add_argument("--data_dir", default=None)
    parser.add_argument("--total_kimg", type=float, default=None, help="default: the base's")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE for all of them")
    parser.add_argument("--count", type=int, default=2000, help="images that are looked at")
    parser.add_argument("--out", type=Path, default=Path("results/ablation"))
    args = parser.parse_args()

    start = presets.make(args.base).schedule.lod_initial_resolution
    overrides = [f"schedule.lod_initial_resolution={start}", *args.set]
    flags = [f"--set={override}" for override in overrides]
    for name in ("dataset", "data_dir", "total_kimg"):
        if getattr(args, name) is not None:
            flags.append(f"--{name}={getattr(args, name)}")
    results = {}
    for row in args.presets.split(","):
        run_dir = args.out / row
        if not (run_dir / "network-final.safetensors").exists():
            print(f"--- {row}", flush=True)
            train(args.base, row, run_dir, flags)
        config = json.loads((run_dir / "config.json").read_text())
        results[row] = {
            **speed_and_losses(run_dir),
            **quality(run_dir, config["dataset"]["name"], args.count),
        }
        shutil.copy(max(run_dir.glob("fakes*.png")), args.out / f"{row}.png")
        (args.out / "ablation.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()
