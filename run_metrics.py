#!/usr/bin/env python3
"""Measures trained generators. `python run_metrics.py --help` tells how."""

from __future__ import annotations

import sys

from dnnlib import quiet
from dnnlib.command_line import (
    CHOICE,
    HELP,
    SWITCH,
    TEXT,
    WHOLE,
    Command,
    command_list,
    flag,
    flag_list,
    parse,
)
from dnnlib.errors import UserError, exit_code
from metrics import registry
from training.config import PRECISIONS

_INTRO = """\
usage: python run_metrics.py [COMMAND] [options]

The paper's metrics of trained generators: Fréchet inception distance (fid50k), perceptual
path length (ppl_zfull, ppl_wfull, ppl_zend, ppl_wend) and linear separability (ls).
fid5k, ppl_wend-10k or ls-20k take another number of samples. docs/metrics.md tells which
files with feature networks are needed, and where they are.
"""

_EXAMPLES = """\
examples:
  python run_metrics.py --run_dir=latest --metrics=fid50k
      the newest snapshot of the newest run in results/, with the data set it was trained on
  python run_metrics.py --run_dir=results/00002-ffhq --snapshots=all --metrics=fid50k,ppl_wend
      all snapshots; the same command again goes on where it was stopped
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
        "inception_weights", TEXT, "FILE",
        "the Inception network of FID, in any published form, or its address",
    ),
    flag("vgg16_weights", TEXT, "FILE", "the VGG16 network of PPL, likewise"),
]  # fmt: skip
_COMMANDS = {
    "evaluate": Command(
        "measure networks; what happens without a command",
        [
            flag(
                "network", TEXT, "FILE",
                "what to measure: a snapshot, a pickle, an address, or a known name",
            ),
            flag("run_dir", TEXT, "RUN", "a run instead: 'latest', its number, or its directory"),
            flag("result_dir", TEXT, "DIR", "where runs are", "results"),
            flag(
                "snapshots", TEXT, "WHICH",
                "of the run: newest, all, or one by its kimg or file name", "newest",
            ),
            flag(
                "metrics", TEXT, "LIST",
                f"what to measure: all, or some of {', '.join(registry.STANDARD)}", "fid50k",
            ),
            flag(
                "num_images", WHOLE, "N",
                "samples of metrics without a number in their name, and of fid50k; by default as "
                "in the paper",
                lower_bound=1, upper_bound=10_000_000,
            ),
            flag("dataset", TEXT, "NAME", "the real images (default: those the run trained on)"),
            flag("data_dir", TEXT, "DIR", "where data sets are (default: the current directory)"),
            flag(
                "mirror", SWITCH, "",
                "flip real images with probability 1/2 (default: as the run was trained)", None,
            ),
            flag(
                "classifiers", TEXT, "LIST",
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
            flag("out", TEXT, "DIR", "keep records here (default: in the run, if it is one)"),
        ],
    ),
    "convert_weights": Command(
        "write a feature network's weights as one .safetensors file",
        [*_WEIGHTS, flag("out", TEXT, "FILE", "the file")],
    ),
}  # fmt: skip
_CACHE = flag(
    "cache_dir", TEXT, "DIR",
    "where weights, downloads and statistics are kept (default: $STYLEGAN_CACHE_DIR, or below "
    "~/.cache)",
)  # fmt: skip


def _flags_of(name: str) -> list:
    return [*_COMMANDS[name].flags, _CACHE, HELP]


def _help() -> str:
    lines = [_INTRO, "commands:", *command_list(_COMMANDS)]
    lines += ["", "options:", *flag_list(_flags_of("evaluate"))]
    return "\n".join([*lines, "", _EXAMPLES])


def _run(argv: list[str]) -> int:
    named = len(argv) > 1 and not argv[1].startswith("-")
    name = argv[1] if named else "evaluate"
    if name not in _COMMANDS:
        raise UserError(f"{name!r} is no command; known: {', '.join(_COMMANDS)} (--help)")
    args = parse(argv[1:] if named else argv, _flags_of(name), "run_metrics.py")
    if args["help"] or len(argv) == 1:
        print(_help(), end="")
        return 0 if args["help"] else 2
    tensorflow = quiet.import_tensorflow()
    from metrics import commands  # after --help and mistakes: they need not wait for it

    try:
        getattr(commands, name)(args)
    except tensorflow.errors.ResourceExhaustedError as error:
        raise UserError("out of memory: a lower --minibatch takes less") from error
    return 0


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    return exit_code(_run, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
