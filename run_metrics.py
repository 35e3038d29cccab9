#!/usr/bin/env python3
"""Measures trained generators. `python run_metrics.py --help` tells how."""

from __future__ import annotations

if __name__ == "__main__":  # before the imports that take long
    from dnnlib import interrupts

    interrupts.end_at_once()

import sys
import textwrap

from dnnlib import quiet
from dnnlib.command_line import (
    CHOICE,
    HELP,
    PATH,
    PATHS,
    SWITCH,
    TEXT,
    WHOLE,
    Command,
    Program,
    flag,
)
from metrics import registry
from training.config import PRECISIONS

_SUMMARY = textwrap.fill(f"Metrics of trained generators: {registry.summary()}.", 92)
_INTRO = f"""\
usage: python run_metrics.py [COMMAND] [options]

{_SUMMARY}
fid5k, pr5k3_full, ppl_wend-10k or ls-20k take another number of samples; _full compares with
the whole data set. docs/metrics.md tells what each is for, what it costs, which files with
feature networks are needed, and where they are.
"""

_EXAMPLES = """\
examples:
  python run_metrics.py --run_dir=latest --metrics=fid50k
      the newest snapshot of the newest run in results/, with the data set it was trained on
  python run_metrics.py --run_dir=results/00002-ffhq --snapshots=all --metrics=fid50k,ppl_wend
      all snapshots; the same command again goes on where it was stopped
  python run_metrics.py --run_dir=latest --metrics=fid10k_full,kid10k_full,pr10k3_full
      of a small data set: all of it, none of it mirrored; KID has no bias from few images
  python run_metrics.py --network=ffhq-1024 --data_dir=/data --dataset=ffhq --mirror \\
      --metrics=all --classifiers=/data/celebahq-classifiers
      the paper's numbers of one of NVIDIA's networks
  python run_metrics.py --run_dir=0 --metrics=ls-20k --classifiers=results/00001-classifier
      with classifiers of `run_training.py --preset=classifier`
  python run_metrics.py convert_weights --inception_weights=inception-2015-12-05.tgz \\
      --out=inception-2015-12-05.safetensors

Results are printed, and kept in metric-NAME.jsonl and the TensorBoard page of the run.
Exit codes: 0 done, 2 a mistake in the command or a missing file, 130 stopped by Ctrl-C.
"""

_WEIGHTS = [
    flag(
        "inception_weights", PATH, "FILE",
        "the Inception network of FID, KID and Inception Score, in any published form, or its "
        "address",
    ),
    flag(
        "vgg16_weights", PATH, "FILE",
        "the VGG16 network of PPL, and of precision and recall, likewise",
    ),
]  # fmt: skip
_CACHE = flag(
    "cache_dir",
    PATH,
    "DIR",
    "where weights, downloads and statistics are kept (default: $STYLEGAN_CACHE_DIR, or below "
    "~/.cache)",
)
# metrics/commands.py has a function for each.
_COMMANDS = {
    "evaluate": Command(
        "measure networks; what happens without a command",
        [
            flag(
                "network", PATH, "FILE",
                "what to measure: a snapshot, a pickle, an address, or a known name",
            ),
            flag("run_dir", PATH, "RUN", "a run instead: 'latest', its number, or its directory"),
            flag("result_dir", PATH, "DIR", "where runs are", "results"),
            flag(
                "snapshots", TEXT, "WHICH",
                "of the run: newest, all, or one by its kimg or file name", "newest",
            ),
            flag(
                "metrics", TEXT, "LIST",
                "what to measure: all (StyleGAN's own), or some of "
                f"{', '.join(registry.standard_names())}",
                "fid50k",
            ),
            flag(
                "num_images", WHOLE, "N",
                "samples of metrics without a number in their name, and of those with their "
                "standard one, such as fid50k; by default as in the paper",
                lower_bound=1, upper_bound=10_000_000,
            ),
            flag("dataset", PATH, "NAME", "the real images (default: those the run trained on)"),
            flag("data_dir", PATH, "DIR", "where data sets are (default: the current directory)"),
            flag(
                "subset", WHOLE, "N",
                "for copies: so many of the real images were trained on, as --subset=N of "
                "run_training.py chooses them (default: as the run was trained)", lower_bound=1,
            ),
            flag(
                "mirror", SWITCH, "",
                "flip real images with probability 1/2 (default: as the run was trained)", None,
            ),
            flag(
                "classifiers", PATHS, "LIST",
                "for ls: files, addresses or directories of attribute classifiers",
            ),
            flag(
                "svm", CHOICE, "KIND",
                "for ls: the solver of the paper's numbers (dual), or one that always finds the "
                "plane (primal)", "dual", enum_values=["dual", "primal"],
            ),
            flag("seed", WHOLE, "N", "of everything random", 0, lower_bound=0,
                 upper_bound=2**31 - 1),
            flag(
                "minibatch", WHOLE, "N", "images at once on each device; changes no result",
                lower_bound=1, upper_bound=4096,
            ),
            flag("num_gpus", WHOLE, "N", "GPUs to use; 0: all there are, or the CPU", 0,
                 lower_bound=0, upper_bound=1024),
            flag("precision", CHOICE, "NAME", "of the generator", "float32",
                 enum_values=list(PRECISIONS)),
            *_WEIGHTS,
            flag("out", PATH, "DIR", "keep records here (default: in the run, if it is one)"),
            _CACHE, HELP,
        ],
    ),
    "convert_weights": Command(
        "write a feature network's weights as one .safetensors file",
        [*_WEIGHTS, flag("out", PATH, "FILE", "the file"), _CACHE, HELP],
    ),
}  # fmt: skip


def _run(name: str, args: dict) -> int:
    with quiet.tensorflow_ready("a lower --minibatch takes less"):
        from metrics import commands  # after --help and mistakes: they need not wait for it

        getattr(commands, name)(args)
    return 0


PROGRAM = Program("run_metrics.py", _INTRO, _EXAMPLES, _COMMANDS, default="evaluate")


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    return PROGRAM.main(argv, _run)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
