#!/usr/bin/env python3
"""Makes data sets and looks into them. `python dataset_tool.py --help` tells how."""

from __future__ import annotations

if __name__ == "__main__":  # before the imports that take long
    from dnnlib import interrupts

    interrupts.end_at_once()

import signal
import sys
from types import FrameType
from typing import Any, Optional

from dnnlib.command_line import (
    CHOICE,
    HELP,
    NUMBER,
    PATH,
    SWITCH,
    TEXT,
    WHOLE,
    Command,
    Flag,
    Program,
    flag,
)

_INTRO = """\
usage: python dataset_tool.py COMMAND [options]

Makes the data sets that run_training.py and run_metrics.py read, directories of TFRecords in
every resolution from 4×4 up, and looks into finished ones.
"""

_EXAMPLES = """\
examples:
  python dataset_tool.py create_from_images --source=photos --out=/data/photos \\
      --resolution=256 --crop=center --skip_bad
  python dataset_tool.py create_from_images --source=/data/images1024x1024 --out=/data/ffhq \\
      --labels=none
  python dataset_tool.py create_lsun --source=/data/bedroom_train_lmdb --out=/data/bedrooms \\
      --resolution=256
  python dataset_tool.py create_digits --out=/data/digits
  python dataset_tool.py verify --dataset=/data/ffhq
  python dataset_tool.py check --dataset=/data/photos --out=findings.png
  python dataset_tool.py display --dataset=/data/ffhq --grid=8x4 --out=ffhq.png

docs/datasets.md tells where the published sets are, how large they become, and their licences.
Exit codes: 0 done, 1 the sets differ, the set is damaged, or check --strict has findings, 2 a
mistake in the command or an image that cannot be used, 130 stopped by Ctrl-C, 143 by SIGTERM.
"""

# ---------------------------------------------------------------- flags


def _source(text: str) -> Flag:
    return flag("source", PATH, "PATH", text, needed=True)


def _most(text: str) -> Flag:
    return flag("max_images", WHOLE, "N", text, lower_bound=1)


_SHUFFLE = flag(
    "shuffle", SWITCH, "", "write in the original's shuffled order; --noshuffle: as they come", True
)
_WORKERS = flag(
    "workers",
    WHOLE,
    "N",
    "processes (default: one for each core; the most are four for each)",
    lower_bound=1,
    upper_bound=1024,
)
_CREATE = [
    flag(
        "out",
        PATH,
        "DIR",
        "the data set, a directory that does not exist yet or is empty",
        needed=True,
    ),
    flag("name", TEXT, "NAME", "beginning of its files' names (default: the directory's)"),
    flag(
        "skip_bad",
        SWITCH,
        "",
        "leave images out that cannot be used, count them, and list them in skipped.txt",
        False,
    ),
    _WORKERS,
    flag(
        "memory_gb",
        NUMBER,
        "GB",
        "what each process may allocate; an image that needs more is bad",
        2.0,
        lower_bound=0.1,
        upper_bound=10_000.0,
    ),
]
_DATASET = flag("dataset", PATH, "DIR", "a directory of TFRecords, or digits", needed=True)
_SIZE: dict[str, Any] = {"lower_bound": 4, "upper_bound": 1 << 14}


def _create(summary: str, own: list) -> Command:
    return Command(summary, [*own, *_CREATE, HELP])


def _look(summary: str, own: list) -> Command:
    return Command(summary, [*own, HELP])


# datasets/commands.py has a function for each.
_COMMANDS = {
    "create_from_images": _create(
        "a folder, with all its subfolders, or a zip of pictures",
        [
            _source("the folder or zip"),
            flag("resolution", WHOLE, "N", "a power of two (default: that of the first image, "
                 "which all must have)", **_SIZE),
            flag("resize", CHOICE, "NAME", "lanczos, box, bicubic, or none: refuse other sizes "
                 "(default: exact means by a power of two, else lanczos, and nothing enlarged)",
                 enum_values=["lanczos", "box", "bicubic", "none"]),
            flag("crop", CHOICE, "NAME", "of images that are not square: none (refuse them), "
                 "center (the square in the middle), wide (4:3 from the middle, and bars), "
                 "letterbox (all of it, and bars)", "none",
                 enum_values=["none", "center", "wide", "letterbox"]),
            flag("channels", CHOICE, "N", "auto, 1 (gray) or 3 (RGB)", "auto",
                 enum_values=["auto", "1", "3"]),
            flag("background", TEXT, "COLOUR", "black, white or #rrggbb, behind transparent "
                 "pixels (default: refuse such images) and of the bars"),
            flag("labels", CHOICE, "NAME", "auto (dataset.json, else one class for each subfolder) "
                 "or none", "auto", enum_values=["auto", "none"]),
            _SHUFFLE,
            _most("only the first so many"),
        ],
    ),
    "create_mnist": _create(
        "MNIST's training set, padded to 32×32",
        [_source("the directory of its two files for training, train-…-ubyte or .gz")],
    ),
    "create_mnistrgb": _create(
        "three random digits of MNIST as red, green and blue",
        [
            _source("the directory of train-images-idx3-ubyte or .gz"),
            flag("num_images", WHOLE, "N", "how many to make", 1_000_000, lower_bound=1,
                 upper_bound=1 << 31),
            flag("seed", WHOLE, "N", "of the random choice", 123, lower_bound=0,
                 upper_bound=2**32 - 1),
        ],
    ),
    "create_cifar10": _create(
        "CIFAR-10's training set", [_source("the directory with its batches, of either version")]
    ),
    "create_cifar100": _create(
        "CIFAR-100's training set", [_source("the directory of its files, of either version")]
    ),
    "create_svhn": _create("SVHN's training set", [_source("the directory of train_32x32.mat")]),
    "create_lsun": _create(
        "an LSUN category, the middle square of each image",
        [
            _source("the directory of data.mdb"),
            flag("resolution", WHOLE, "N", "a power of two", 256, **_SIZE),
            _most("only the first so many"),
        ],
    ),
    "create_lsun_wide": _create(
        "an LSUN category, letterboxed",
        [
            _source("the directory of data.mdb"),
            flag("width", WHOLE, "N", "of the picture and the square; a power of two", 512,
                 **_SIZE),
            flag("height", WHOLE, "N", "of the picture", 384, lower_bound=1, upper_bound=1 << 14),
            _most("only look at the first so many"),
        ],
    ),
    "create_celeba": _create(
        "CelebA, aligned and cropped, as 128×128",
        [
            _source("the directory of img_align_celeba or img_align_celeba_png"),
            flag("cx", WHOLE, "X", "centre of the crop", 89, lower_bound=64, upper_bound=114),
            flag("cy", WHOLE, "Y", "centre of the crop", 121, lower_bound=64, upper_bound=154),
        ],
    ),
    "create_from_hdf5": _create(
        "a file of the Progressive GAN era", [_source("the .h5 file"), _SHUFFLE]
    ),
    "create_from_npz": _create(
        "NumPy arrays", [_source("the .npz or .npy file"), _SHUFFLE]
    ),
    "create_digits": _create("scikit-learn's handwritten digits, without any download", []),
    "info": _look("resolutions, images, channels, classes, bytes", [_DATASET]),
    "display": _look(
        "a contact sheet",
        [
            _DATASET,
            flag("out", PATH, "FILE", "the picture", "dataset.png", needed=True),
            flag("grid", TEXT, "SIZE", "1080p, 4k or COLUMNSxROWS", "1080p"),
            flag("layout", CHOICE, "NAME", "first (as they come), random, row_per_class, "
                 "col_per_class, class4x4, or auto: row_per_class if there are classes", "first",
                 enum_values=["first", "random", "auto", "row_per_class", "col_per_class",
                              "class4x4"]),
            flag("seed", WHOLE, "N", "of the other layouts", 0, lower_bound=0,
                 upper_bound=2**31 - 1),
        ],
    ),
    "extract": _look(
        "the images as PNG files, with dataset.json for labels",
        [
            _DATASET,
            flag("out", PATH, "DIR", "where to; does not exist yet, or is empty", needed=True),
            _most("only the first so many"),
            _WORKERS,
        ],
    ),
    "compare": _look(
        "whether two sets have equal images and labels",
        [_DATASET, flag("other", PATH, "DIR", "the other one", needed=True), _WORKERS],
    ),
    "verify": _look(
        "read every record and check it: checksums, sizes, lower resolutions, labels",
        [_DATASET, _WORKERS],
    ),
    "check": _look(
        "what may spoil training: copies, faint images, bars, enlarged images, classes",
        [
            _DATASET,
            flag("json", SWITCH, "", "print all findings, with every image, as JSON", False),
            flag("strict", SWITCH, "", "exit code 1 if there is a finding", False),
            flag("out", PATH, "FILE", "write a picture of examples, a row for each finding's first "
                 "groups"),
        ],
    ),
}  # fmt: skip

# ---------------------------------------------------------------- the command line


def _run(name: str, args: dict) -> int:
    from datasets import commands  # after --help and mistakes: they need not wait for it

    with commands.memory_limit(name, args):
        return getattr(commands, name)(args)


PROGRAM = Program("dataset_tool.py", _INTRO, _EXAMPLES, _COMMANDS)


def _stop(number: int, frame: Optional[FrameType]) -> None:
    signal.signal(number, signal.SIG_IGN)  # once is enough: what is being written is removed
    raise SystemExit(128 + number)


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        return PROGRAM.main(argv, _run)
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
