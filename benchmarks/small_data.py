"""Few pictures, with and without augmentation: trains, measures every snapshot, makes a table.

    python -m benchmarks.small_data                                     # the digits alone
    python -m benchmarks.small_data --data_dir=data --pictures=emoji32  # and pictures of yours
    python -m benchmarks.small_data --only_measure                      # what was trained already

Trains the demo on a subset of each data set, with `--augment=none` and `bgc`, by two seeds each,
and compares what each snapshot makes with the pictures that no run was shown. What was trained or
measured is not done again, so an interrupted report continues. Writes `small-data.md` and pictures
into --out. docs/small-data.md says what came of it.

The columns: `distance` is the kernel distance (KID's formula, x1000) of 1,000 images to as many
held-out pictures in the space of benchmarks/random_features.py; `precision` and `recall` are those
of pr50k3, in that space; `nearest` is the mean distance to the nearest training picture, in pixels,
as a share of what held-out pictures have (less than 1: images lie closer to training pictures than
new pictures do); `copies` is the share of images that are nearer to a training picture than 99 % of
the held-out pictures are; `r` and `p` are means since the snapshot before; `D old` and `D new` are
what r would be of training and of held-out pictures, without augmentation. For digits also:
`judged`, the Fréchet distance of pixels to held-out digits, and the share of images of which a
classifier of real digits is surer than 0.9, and in which it sees the digit asked for
(benchmarks/digits_quality.py).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import digits_quality
from benchmarks.random_features import Features
from datasets.format.info import DatasetInfo, inspect
from datasets.format.reader import open_dataset
from dnnlib import atomic
from metrics.kernel_distance import squared_mmd
from metrics.neighbours import precision_and_recall

COUNT = 1000  # images of each snapshot that are measured
K = 3  # of precision and recall
SEEDS = (1, 2)
MINIBATCH = 16  # many small steps, for a small budget
SETTINGS = (
    "dataset.max_label_size=0",  # with labels a class's few pictures soon become one
    f"schedule.minibatch_base={MINIBATCH}",
    "G_smoothing_rampup=0.05",
    "augment.kimg=25",  # a part of a short run
    "augment.target=0.4",  # a D so small has overfitted when it reaches 0.6
    "network_snapshot_ticks=2",
    "image_snapshot_ticks=5",
)
ARMS = {"none": ("--augment=none",), "bgc": ("--augment=bgc",)}


@dataclasses.dataclass(frozen=True)
class Case:
    """One data set of the comparison."""

    name: str
    dataset: str
    subset: int
    resolution: int
    kimg: float
    data_dir: str | None = None
    settings: tuple[str, ...] = ()

    def flags(self) -> list[str]:
        gamma = 0.0002 * self.resolution**2 / MINIBATCH  # as ada-auto has it
        settings = (f"dataset.resolution={self.resolution}", f"D_loss.gamma={gamma:g}")
        flags = [f"--set={text}" for text in (*SETTINGS, *settings, *self.settings)]
        flags += [f"--dataset={self.dataset}", f"--subset={self.subset}"]
        flags += [f"--total_kimg={self.kimg:g}"]
        return [*flags, f"--data_dir={self.data_dir}"] if self.data_dir else flags

    def info(self) -> DatasetInfo:
        return inspect(
            self.dataset,
            self.data_dir,
            resolution=self.resolution,
            max_label_size="full",
            subset=self.subset,
        )


@dataclasses.dataclass(frozen=True)
class Pictures:
    """What a run was shown and what it was not: [N, H, W, C] in [0, 1], and labels [N, K]."""

    known: np.ndarray
    held_out: np.ndarray
    known_labels: np.ndarray
    held_out_labels: np.ndarray

    @classmethod
    def of(cls, info: DatasetInfo) -> Pictures:
        whole = dataclasses.replace(info, subset=None, num_images=info.subset.of)
        with open_dataset(whole) as dataset:
            pixels, labels = dataset.read(range(whole.num_images))
        shown = np.zeros(len(pixels), bool)
        shown[info.subset.indices(info.num_images)] = True
        known, held_out = (pixels[which].astype(np.float32) / 255 for which in (shown, ~shown))
        return cls(known, held_out, labels[shown], labels[~shown])


# --------------------------------------------------------------------------------------
# Training


def train(case: Case, arm: str, seed: int, run_dir: Path, flags: list[str]) -> None:
    """Trains in run_dir, or goes on there; CalledProcessError if it fails."""
    command = [sys.executable, "run_training.py", "--preset=demo", f"--run_dir={run_dir}"]
    command += [f"--seed={seed}", *case.flags(), *ARMS[arm], *flags]
    subprocess.run(command, check=True)


def snapshots(run_dir: Path) -> dict[int, Path]:
    """{kimg: snapshot} of a run, by kimg."""
    paths = sorted(run_dir.glob("network-snapshot-*.safetensors"))
    return {int(re.findall(r"\d+", path.name)[-1]): path for path in paths}


# --------------------------------------------------------------------------------------
# Measuring


class Judge:
    """Compares images with the pictures of a case."""

    def __init__(self, case: Case):
        self.case, self.pictures = case, Pictures.of(case.info())
        known, held_out = self.pictures.known, self.pictures.held_out
        self.some = np.random.RandomState(0).permutation(len(held_out))[:COUNT]
        self.features = Features.of(held_out)
        self.points = self.features(held_out[self.some])
        apart = nearest(held_out, known)[0]
        self.usual, self.near = float(apart.mean()), float(np.percentile(apart, 1))
        self.classifier = digits_quality.classifier(known.shape[1])[0] if self.digits else None

    @property
    def digits(self) -> bool:
        return self.case.dataset == "digits"

    def measure(self, images: np.ndarray, wanted: np.ndarray | None = None) -> dict[str, float]:
        """The columns for images [N, H, W, C]; wanted: the classes of digits asked for."""
        points = self.features(images)
        count = min(len(points), len(self.points))
        distance = squared_mmd(points[:count], self.points[:count])
        precision, recall = precision_and_recall(self.points, points, K)
        apart = nearest(images, self.pictures.known)[0]
        figures = {
            "distance": 1000 * distance,
            "precision": precision,
            "recall": recall,
            "nearest": float(apart.mean()) / self.usual,
            "copies": float((apart < self.near).mean()),
        }
        if self.digits:
            side, flat = images.shape[1], images.reshape(len(images), -1)
            held_out = self.pictures.held_out
            reals = held_out.reshape(len(held_out), -1)
            figures["judged"] = digits_quality.frechet_distance(flat, side, reals)
            described = digits_quality.describe(self.classifier, flat, wanted)
            kept = ("sure", "agreement") if wanted is not None else ("sure",)
            figures.update({key: described[key] for key in kept})
        return figures

    def references(self) -> dict[str, dict[str, float]]:
        """The columns for pictures: training pictures, and held-out ones that are not compared."""
        rest = np.delete(self.pictures.held_out, self.some, axis=0)[:COUNT]
        return {
            "training pictures": self.measure(self.pictures.known),
            "other held-out pictures": self.measure(rest),
        }


def nearest(images: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the distance of each image to the nearest of others, its index), in pixels."""
    flat, known = (pixels.reshape(len(pixels), -1) for pixels in (images, others))
    apart = digits_quality.distances(flat, known)
    return apart.min(1), apart.argmin(1)


def signs(D: Any, pictures: Pictures) -> dict[str, float]:
    """The mean sign of D's scores of pictures that it was trained on, and of some that it was not.

    Both without augmentation. They are apart as far as it knows its pictures by heart.
    """
    means = {}
    for name, shown, labels in (
        ("D old", pictures.known, pictures.known_labels),
        ("D new", pictures.held_out, pictures.held_out_labels),
    ):
        count = min(len(shown), COUNT) // 100 * 100  # in minibatches of 100
        rows = np.random.RandomState(0).permutation(len(shown))[:count]
        size = D.options["label_size"]
        scores = [
            D(shown[part] * 2 - 1, labels[part][:, :size] if size else None).numpy()
            for part in np.split(rows, len(rows) // 100)
        ]
        means[name] = float(np.sign(np.concatenate(scores)).mean())
    return means


def generate(Gs: Any, count: int) -> tuple[np.ndarray, np.ndarray | None]:
    """(images [count, H, W, C] in [0, 1], the classes asked for), truncation off."""
    flat = digits_quality.generate(Gs, count, seed=1)
    images = flat.reshape(count, Gs.resolution, Gs.resolution, -1)
    return images, digits_quality.classes_asked_for(Gs, count)


def measure_run(judge: Judge, run_dir: Path) -> list[dict[str, Any]]:
    """The columns of every snapshot of a run; those measured before are read."""
    import networks

    place = run_dir / "small-data.json"
    rows = json.loads(place.read_text()) if place.exists() else []
    ticks = [json.loads(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]
    before = 0
    for kimg, path in snapshots(run_dir).items():
        since = [t for t in ticks if before <= t["Progress/kimg"] - 1e-6 < kimg + 1]
        before = kimg + 1
        if any(row["kimg"] == kimg for row in rows):
            continue
        _, D, Gs = networks.load(path)
        row = {"kimg": kimg, **judge.measure(*generate(Gs, COUNT)), **signs(D, judge.pictures)}
        row["r"] = statistics.mean(t["Loss/signs/real"] for t in since)
        row["p"] = statistics.mean(t.get("Progress/augment", 0.0) for t in since)
        rows.append(row)
        atomic.write_json(place, rows)
        print(run_dir.name, {key: round(value, 3) for key, value in row.items()}, flush=True)
    return rows


# --------------------------------------------------------------------------------------
# Telling

_FORMATS = {
    "kimg": "{:.0f}", "distance": "{:.1f}", "judged": "{:.2f}", "precision": "{:.2f}",
    "recall": "{:.2f}", "nearest": "{:.2f}", "copies": "{:.1%}", "sure": "{:.0%}",
    "agreement": "{:.1%}", "r": "{:.2f}", "D old": "{:.2f}", "D new": "{:.2f}", "p": "{:.2f}",
}  # fmt: skip


def table(rows: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown: a line for each name, with the figures of each seed in a cell."""
    figures = [seed for seeds in rows.values() for seed in seeds]
    columns = [key for key in _FORMATS if any(key in figure for figure in figures)]
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for name, seeds in rows.items():
        lines.append(f"| {name} | " + " | ".join(_cells(seeds, columns)) + " |")
    return "\n".join(lines) + "\n"


def _cells(seeds: Sequence[dict[str, Any]], columns: Sequence[str]) -> list[str]:
    return [
        ", ".join(_FORMATS[key].format(seed[key]) for seed in seeds if key in seed) or "–"
        for key in columns
    ]


def over_time(runs: dict[str, list[list[dict[str, Any]]]]) -> str:
    """Markdown: a line for each snapshot, some columns of each arm; runs: as of `report`."""
    columns = ("distance", "recall", "r", "D old", "D new")
    titles = [f"{arm}: {key}" for arm in runs for key in columns]
    lines = ["| kimg | " + " | ".join(titles) + " |", "| ---: |" + " ---: |" * len(titles)]
    by_arm = [{rows[0]["kimg"]: rows for rows in zip(*seeds)} for seeds in runs.values()]
    for kimg in by_arm[0]:
        cells = [cell for rows in by_arm for cell in _cells(rows.get(kimg, ()), columns)]
        lines.append(f"| {kimg} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def report(judge: Judge, runs: dict[str, list[list[dict[str, Any]]]]) -> str:
    """The tables of a case; runs: {arm: for each seed, its snapshots' columns}."""
    best = "distance"
    rows = {name: [figures] for name, figures in judge.references().items()}
    for arm, seeds in runs.items():
        rows[f"{arm}, best"] = [min(run, key=lambda row: row[best]) for run in seeds]
        rows[f"{arm}, last"] = [run[-1] for run in seeds]
    return f"## {judge.case.name}\n\n{table(rows)}\n{over_time(runs)}"


def save_pictures(judge: Judge, runs: dict[str, Path], out: Path) -> None:
    """Training pictures and each arm's last images, side by side; and images over the nearest."""
    import networks

    known, columns, pairs = judge.pictures.known, 10, []
    panels = [_sheet(known[: columns**2], columns)]
    for run_dir in runs.values():
        _, _, Gs = networks.load(list(snapshots(run_dir).values())[-1])
        images, _ = generate(Gs, 200)
        panels.append(_sheet(images[: columns**2], columns))
        apart, which = nearest(images, known)
        order = np.argsort(apart)[:: len(apart) // (2 * columns)][: 2 * columns]
        pairs += [_sheet(part, 2 * columns) for part in (images[order], known[which[order]])]
    _save(panels, out / f"{judge.case.name}.png", axis=1)
    _save(pairs, out / f"{judge.case.name}-nearest.png", axis=0)


def _sheet(images: np.ndarray, columns: int) -> np.ndarray:
    """[N, H, W, C] as one picture [H', W', C], `columns` wide; of 24 pixels each at least."""
    scale = max(24 // images.shape[1], 1)
    images = images.repeat(scale, 1).repeat(scale, 2)
    rows = [np.concatenate(images[i : i + columns], 1) for i in range(0, len(images), columns)]
    return np.concatenate(rows, 0)


def _save(sheets: list[np.ndarray], path: Path, axis: int, gap: int = 6) -> None:
    from PIL import Image

    shape = list(sheets[0].shape)
    shape[axis] = gap
    parts = [part for sheet in sheets for part in (sheet, np.ones(shape, np.float32))][:-1]
    pixels = np.rint(np.concatenate(parts, axis) * 255).astype(np.uint8)
    Image.fromarray(np.squeeze(pixels, 2) if pixels.shape[2] == 1 else pixels).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", default=None, help="where --pictures are")
    parser.add_argument("--pictures", default=None, help="a data set of more than --subset images")
    parser.add_argument("--subset", type=int, default=500, help="of them to train on")
    parser.add_argument("--digits", type=int, default=200, help="of the digits; 0: not these")
    parser.add_argument("--digits_kimg", type=float, default=64, help="length of their runs")
    parser.add_argument("--pictures_kimg", type=float, default=160)
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE for all of them")
    parser.add_argument("--only_measure", action="store_true", help="train nothing")
    parser.add_argument("--out", type=Path, default=Path("results/small-data"))
    args = parser.parse_args()

    cases = [Case("digits", "digits", args.digits, 8, args.digits_kimg)] if args.digits else []
    if args.pictures:
        pictures = Path(args.pictures).name, args.pictures, args.subset, 32
        narrow = ("G.fmap_base=128", "D.fmap_base=128")
        cases.append(Case(*pictures, args.pictures_kimg, args.data_dir, narrow))
    flags = [f"--set={setting}" for setting in args.set]
    if not args.only_measure:
        for seed in SEEDS:  # seed by seed, so that there is something to see early
            for case in cases:
                for arm in ARMS:
                    run_dir = args.out / f"{case.name}-{arm}-{seed}"
                    if not (run_dir / "network-final.safetensors").exists():
                        train(case, arm, seed, run_dir, flags)
    texts = []
    for case in cases:
        judge, runs = Judge(case), {}
        for arm in ARMS:
            places = [args.out / f"{case.name}-{arm}-{seed}" for seed in SEEDS]
            trained = [place for place in places if snapshots(place)]
            runs[arm] = [measure_run(judge, place) for place in trained]
        texts.append(report(judge, runs))
        firsts = {arm: args.out / f"{case.name}-{arm}-{SEEDS[0]}" for arm in ARMS}
        save_pictures(judge, firsts, args.out)
    text = "\n".join(texts)
    (args.out / "small-data.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
