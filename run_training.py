#!/usr/bin/env python3
"""Trains a StyleGAN, or classifiers. `python run_training.py --help` tells how."""

from __future__ import annotations

if __name__ == "__main__":  # before the imports that take long
    from dnnlib import interrupts

    interrupts.end_at_once()

import sys
from typing import Any

from dnnlib.command_line import (
    HELP,
    NUMBER,
    PATH,
    REPEATED,
    SWITCH,
    TEXT,
    WHOLE,
    Command,
    Program,
    flag,
)
from metrics import registry
from training import presets

_INTRO = """\
usage: python run_training.py [--preset=NAME] [--set KEY=VALUE ...] [options]

Trains a StyleGAN or a StyleGAN2, or the classifiers of their separability metric. Without options:
the demo, a small StyleGAN2 on handwritten digits.
"""

_EXAMPLES = """\
examples:
  python run_training.py
      the demo; results go to results/00000-demo
  python run_training.py --preset=ffhq-8gpu --data_dir=/data
      the paper's run, on /data/ffhq
  python run_training.py --preset=ffhq256-1gpu --data_dir=/data --dataset=my-photos --dry_run
      look at every setting first; --set changes any of them
  python run_training.py --preset=ada-auto --data_dir=/data --dataset=my-photos
      for hundreds or thousands of pictures, of any size, on any number of GPUs
  python run_training.py --preset=ffhq256-1gpu --data_dir=/data --dry_run --measure
      how long it will take here, how much disk and memory
  python run_training.py --total_kimg=40 --set G.fmap_max=32
      the demo, changed
  python run_training.py --set dataset.max_label_size=0
      the demo without labels: it is not told which digit an image shows
  python run_training.py --preset=demo-stylegan+table1-b
      StyleGAN's demo as configuration B of its Table 1; --list_presets names all such rows
  python run_training.py --preset=classifier --set attribute.loop=0,6,8,9 --set attribute.one=1
      classifiers of two attributes, by label columns; alone --preset=classifier has six of digits
  python run_training.py --preset=classifier-celebahq --data_dir=/data
      the paper's classifiers, one for each label column; --dataset names other data
  python run_training.py --preset=cat-4gpu --data_dir=/data --run_dir=/runs/cats
      for jobs that may be stopped: the same command again continues where it was
  python run_training.py --resume=latest
      continue the newest run in results/
  python run_training.py --resume=latest --fork=results/gamma5 --set D_loss.gamma=5
      from its newest checkpoint on, with one setting changed

Exit codes: 0 done, 2 a mistake in the command, 130 or 143 stopped by Ctrl-C or SIGTERM, 129
or 138 by SIGHUP or SIGUSR1. The first one finishes the iteration and saves; a second Ctrl-C does
not wait.
"""

# The default of all is None, "not given", because a resumed run only minds flags that were given.
_FLAGS = {
    "What to train": [
        flag("preset", TEXT, "NAME", f"start from: {presets.summary()} (default: demo)"),
        flag(
            "set",
            REPEATED,
            "KEY=VALUE",
            "change one setting, for example G.fmap_max=64; may be repeated; --dry_run lists all",
        ),
        flag("dataset", PATH, "NAME", "a directory in --data_dir, or 'digits' or 'synthetic'"),
        flag("data_dir", PATH, "DIR", "where data sets are (default: the current directory)"),
        flag("subset", WHOLE, "N", "train on N images of the data set, for experiments"),
        flag(
            "total_kimg",
            NUMBER,
            "KIMG",
            "length of training, in thousands of images; of classifiers: for each attribute",
        ),
        flag("seed", WHOLE, "N", "seed of everything random (default: 1000)"),
        flag(
            "augment",
            TEXT,
            "SET",
            "what D is shown is augmented, as strongly as it overfits: bgc, for data sets that are "
            "small; none, blit, geom, color, filter, noise, cutout, bg, bgcf, bgcfn, bgcfnc",
        ),
        flag(
            "resume_from",
            PATH,
            "FILE",
            "start from the weights of a network: a file of any kind (docs/other-files.md), an "
            "address or a known name; another resolution, gray or colour, other labels are fine",
        ),
        flag(
            "freeze_d",
            WHOLE,
            "N",
            "with --resume_from: the first N layers of D stay as they are, 10 for example",
        ),
    ],
    "Where the results go": [
        flag("result_dir", PATH, "DIR", "new numbered run directories go here (default: results)"),
        flag(
            "run_dir",
            PATH,
            "DIR",
            "use exactly this directory; if it holds a run of the same command, continue it",
        ),
        flag(
            "resume",
            PATH,
            "RUN",
            "continue a run with its saved settings: 'latest', its number, or its directory",
        ),
        flag(
            "fork",
            PATH,
            "DIR",
            "with --resume: go back to a checkpoint of that run, which stays as it is, and train "
            "on in this new directory; --set and other flags are what changes",
        ),
        flag("fork_kimg", NUMBER, "KIMG", "with --fork: the checkpoint there, not the newest one"),
    ],
    "What to measure": [
        flag(
            "metrics",
            TEXT,
            "LIST",
            "of each snapshot, such as fid5k,ppl_wend-10k (run_metrics.py --help), or none; --set "
            "metrics.… names weights and classifiers",
        ),
    ],
    "How to compute": [
        flag("num_gpus", WHOLE, "N", "GPUs to use on this machine; 0: all there are, or the CPU"),
        flag(
            "precision",
            TEXT,
            "NAME",
            "float32, mixed_bfloat16 or mixed_float16 (default: float32)",
        ),
        flag("xla", SWITCH, "", "on GPUs: let XLA compile what it can of the training steps"),
    ],
    "Only tell": [
        flag("dry_run", SWITCH, "", "print and check all settings and the schedule, make no run"),
        flag(
            "measure",
            SWITCH,
            "",
            "with --dry_run: a forecast of time, disk and memory on this machine, from a few steps "
            "of each stage; takes a minute or more",
        ),
        flag("list_presets", SWITCH, "", "print the names of all presets and their rows"),
        HELP,
    ],
}


def _run(_: str, args: dict) -> int:
    from training import commands  # after --help and mistakes: they need not wait for it

    return commands.train(args, registry.parse_list, _look_at_metrics, _evaluator)


def _look_at_metrics(config: Any) -> list[str]:
    from metrics import snapshots  # brings TensorFlow

    return snapshots.check(config)


def _evaluator(*args: Any) -> Any:
    from metrics.snapshots import DuringTraining  # brings TensorFlow

    return DuringTraining(*args)


PROGRAM = Program(
    "run_training.py",
    _INTRO,
    _EXAMPLES,
    {"train": Command("train networks", _FLAGS)},
    default="train",
    stray=" (a setting needs --set before it)",
)


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    return PROGRAM.main(argv, _run)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
