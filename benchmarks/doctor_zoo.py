"""The runs that benchmarks/doctor.py judges: each a small one, some with a fault built in.

A case is a preset with settings in its place. Faulty ones change one thing of a healthy one, and
name the checks (training/checks.py) of which one at least must speak.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from datasets.format.reader import inspect, open_dataset
from datasets.format.writer import MultiResolutionWriter

# 8×8 and narrow, so that a run takes a minute or two on one core.
_SMALL = (
    "dataset.resolution=8",
    "G.fmap_base=128",
    "G.fmap_max=32",
    "D.fmap_base=128",
    "D.fmap_max=32",
    "grid.size=8x4",
    "grid.layout=random",
    "schedule.tick_kimg_base=1",
    "image_snapshot_ticks=10",
    "network_snapshot_ticks=1000",
    "checkpoint_ticks=1000",
    "checkpoint_minutes=1",
    "num_gpus=0",
)
_NO_LABELS = "dataset.max_label_size=0"
_GROWING = (
    "schedule.lod_initial_resolution=4",
    "schedule.lod_training_kimg=12",
    "schedule.lod_transition_kimg=2",
    "schedule.minibatch_base=32",
    "total_kimg=30",
)


@dataclasses.dataclass(frozen=True)
class Case:
    """One kind of run. expected: empty for a healthy one."""

    name: str
    preset: str
    settings: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    data: str = ""  # a set that `make_data` writes

    def overrides(self, data_dir: Path, seed: int) -> tuple[str, ...]:
        chosen = (f"dataset.name={self.data}", f"dataset.data_dir={data_dir}") if self.data else ()
        return (*_SMALL, *chosen, "total_kimg=24", *self.settings, f"seed={seed}")


FAULTY = (
    Case(
        "rate x10",
        "demo",
        ("schedule.G_lrate_base=0.04", "schedule.D_lrate_base=0.04", "total_kimg=18"),
        expected=("steps too large",),
    ),
    # It takes a thousand times as many images as there are until they are known by heart.
    Case(
        "50 images",
        "demo",
        ("dataset.subset=50", "total_kimg=40", _NO_LABELS),
        expected=("memorises",),
    ),
    Case(
        "no R1",
        "demo",
        ('D_loss={"func_name": "D_logistic"}', _NO_LABELS),
        expected=("R1 too weak",),
    ),
    Case(
        "all duplicates",
        "demo",
        ("total_kimg=3", _NO_LABELS),
        expected=("copies",),
        data="duplicates",
    ),
    Case(
        "wrong labels",
        "demo",
        ("total_kimg=3",),
        expected=("labels say nothing",),
        data="wrong-labels",
    ),
    Case(
        "R1 x1000",
        "demo",
        ("D_loss.gamma=500", "total_kimg=16", _NO_LABELS),
        expected=("R1 too strong",),
    ),
    Case(
        "rate of G x0.001",
        "demo",
        ("schedule.G_lrate_base=0.000004", "total_kimg=40", _NO_LABELS),
        expected=("stalled",),
    ),
    # A latent of one number is its sign: two images.
    Case(
        "collapsed G",
        "demo",
        ("G.latent_size=1", "D.mbstd_group_size=0", "total_kimg=16", _NO_LABELS),
        expected=("collapse", "repeats"),
    ),
)
HEALTHY = (
    Case("StyleGAN2, labels", "demo"),
    Case("StyleGAN2, no labels", "demo", (_NO_LABELS,)),
    Case("StyleGAN, growing", "demo-stylegan", _GROWING),
    Case("synthetic", "demo", ("dataset.name=synthetic-8", _NO_LABELS)),
    Case(
        "augmented, 900 of 1,797",
        "demo",
        ("augment.transforms=bgc", "augment.kimg=50", "dataset.subset=900", _NO_LABELS),
    ),
    Case(
        "StyleGAN, synthetic, labels",
        "demo-stylegan",
        (
            "schedule.lod_initial_resolution=8",
            "schedule.minibatch_base=32",
            "dataset.name=synthetic-8-4",
            "dataset.max_label_size=full",
        ),
    ),
    Case(
        "Progressive GAN, WGAN-GP",
        "demo-stylegan+table1-a",
        _GROWING,
    ),
)
CASES = {case.name: case for case in (*FAULTY, *HEALTHY)}


def make_data(data_dir: Path) -> None:
    """Writes the faulty sets, unless they are there: 20 digits again and again; labels shuffled."""
    with open_dataset(inspect("digits")) as digits:
        images, labels = digits.read(range(digits.info.num_images))
    rng = np.random.RandomState(0)
    twenty = rng.permutation(len(images))[:20]
    rows = {"duplicates": np.resize(twenty, len(images)), "wrong-labels": np.arange(len(images))}
    for name, chosen in rows.items():
        if (data_dir / name).exists():
            continue
        its_labels = labels[chosen]
        if name == "wrong-labels":
            its_labels = labels[rng.permutation(len(labels))]
        with MultiResolutionWriter(data_dir / name, name) as writer:
            for image in images[chosen]:
                writer.add_image(image.transpose(2, 0, 1))
            writer.add_labels(its_labels)
