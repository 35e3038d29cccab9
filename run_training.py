#!/usr/bin/env python3
"""Trains a StyleGAN, or classifiers. `python run_training.py --help` tells how."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from dataclasses import fields

from absl import flags

from dnnlib import quiet
from dnnlib.errors import UserError, exit_code
from metrics import registry
from training import presets

_INTRO = """\
usage: python run_training.py [--preset=NAME] [--set KEY=VALUE ...] [options]

Trains a StyleGAN, or the classifiers of its separability metric. Without options: the demo, a
small network on handwritten digits.
"""

_EXAMPLES = """\
examples:
  python run_training.py
      the demo; results go to results/00000-demo
  python run_training.py --preset=ffhq-8gpu --data_dir=/data
      the paper's run, on /data/ffhq
  python run_training.py --preset=ffhq256-1gpu --data_dir=/data --dataset=my-photos --dry_run
      look at every setting first; --set changes any of them
  python run_training.py --set schedule.lod_training_kimg=10 --set G.fmap_max=32
      the demo, changed
  python run_training.py --set dataset.max_label_size=full --set grid.layout=row_per_class
      the demo with labels, one row of pictures for each digit
  python run_training.py --preset=demo+table1-b
      the demo as configuration B of the paper's Table 1; --list_presets names all such rows
  python run_training.py --preset=classifier --set attribute.loop=0,6,8,9 --set attribute.one=1
      classifiers of two attributes, by label columns; alone --preset=classifier has six of digits
  python run_training.py --preset=classifier-celebahq --data_dir=/data
      the paper's classifiers, one for each label column; --dataset names other data
  python run_training.py --preset=cat-4gpu --data_dir=/data --run_dir=/runs/cats
      for jobs that may be stopped: the same command again continues where it was
  python run_training.py --resume=latest
      continue the newest run in results/

Exit codes: 0 done, 2 a mistake in the command, 130 or 143 stopped by Ctrl-C or SIGTERM. The
first one finishes the iteration and saves; a second Ctrl-C does not wait.
"""

_TEXT, _NUMBER, _WHOLE = flags.DEFINE_string, flags.DEFINE_float, flags.DEFINE_integer
_SWITCH, _REPEATED = flags.DEFINE_boolean, flags.DEFINE_multi_string

# Section → its flags: name, kind, what to show for the value, help. The default of all is None,
# "not given", because a resumed run only minds flags that were given.
_FLAGS = {
    "What to train": [
        ("preset", _TEXT, "NAME", f"start from: {presets.summary()} (default: demo)"),
        (
            "set",
            _REPEATED,
            "KEY=VALUE",
            "change one setting, for example G.fmap_max=64; may be repeated; --dry_run lists all",
        ),
        ("dataset", _TEXT, "NAME", "a directory in --data_dir, or 'digits' or 'synthetic'"),
        ("data_dir", _TEXT, "DIR", "where data sets are (default: the current directory)"),
        (
            "total_kimg",
            _NUMBER,
            "KIMG",
            "length of training, in thousands of images; of classifiers: for each attribute",
        ),
        ("seed", _WHOLE, "N", "seed of everything random (default: 1000)"),
        (
            "resume_from",
            _TEXT,
            "FILE",
            "start from the weights of a snapshot (.safetensors); another resolution or other "
            "labels are fine",
        ),
    ],
    "Where the results go": [
        ("result_dir", _TEXT, "DIR", "new numbered run directories go here (default: results)"),
        (
            "run_dir",
            _TEXT,
            "DIR",
            "use exactly this directory; if it holds a run of the same command, continue it",
        ),
        (
            "resume",
            _TEXT,
            "RUN",
            "continue a run with its saved settings: 'latest', its number, or its directory",
        ),
    ],
    "What to measure": [
        (
            "metrics",
            _TEXT,
            "LIST",
            "of each snapshot, such as fid5k,ppl_wend-10k (run_metrics.py --help), or none; --set "
            "metrics.… names weights and classifiers",
        ),
    ],
    "How to compute": [
        ("num_gpus", _WHOLE, "N", "GPUs to use on this machine; 0: all there are, or the CPU"),
        (
            "precision",
            _TEXT,
            "NAME",
            "float32, mixed_bfloat16 or mixed_float16 (default: float32)",
        ),
        ("xla", _SWITCH, "", "on GPUs: let XLA compile what it can of the training steps"),
    ],
    "Only tell": [
        ("dry_run", _SWITCH, "", "print and check all settings and the schedule, make no run"),
        ("list_presets", _SWITCH, "", "print the names of all presets and their rows"),
        ("help", _SWITCH, "", "print this"),
    ],
}


def _define_flags() -> flags.FlagValues:
    """Our flags alone: absl's global set has many more that mean nothing here."""
    fv = flags.FlagValues()
    for section in _FLAGS.values():
        for name, define, _, text in section:
            short = {"short_name": "h"} if name == "help" else {}
            define(name, default=None, help=text, flag_values=fv, **short)
    return fv


def _help() -> str:
    lines = [_INTRO]
    for title, section in _FLAGS.items():
        lines.append(f"{title}:")
        for name, _, value, text in section:
            left = f"  --{name}" + (" " if name == "set" else "=" if value else "") + value
            first, *more = textwrap.wrap(text, 72)
            lines.append(f"{left:<22}{first}")
            lines += [" " * 22 + line for line in more]
        lines.append("")
    return "\n".join([*lines, _EXAMPLES])


def _request(fv: flags.FlagValues):
    from training.runs import Request

    values = {field.name: fv[field.name].value for field in fields(Request) if field.name in fv}
    return Request(overrides=tuple(fv["set"].value or ()), **values)


def _run(argv: list[str]) -> int:
    fv = _define_flags()
    try:
        rest = fv(argv)[1:]
    except flags.Error as error:
        raise UserError(f"{error} (--help lists all flags)") from error
    if fv["help"].value:
        print(_help(), end="")
        return 0
    if rest:
        raise UserError(f"unexpected argument {rest[0]!r} (a setting needs --set before it)")
    if fv["list_presets"].value:
        print(presets.listing())
        return 0

    from training import runs as gan_runs
    from training.classifiers import runs as classifier_runs

    request = _request(fv)
    classifiers = classifier_runs.wanted(request)
    runs = classifier_runs if classifiers else gan_runs
    run = runs.plan(request)
    if not classifiers and run.config.metrics.names:
        registry.parse_list(",".join(run.config.metrics.names))
    for note in run.notes:
        print(f"Changed for this run: {note}")
    if fv["dry_run"].value:
        print(runs.describe_all(run))
        return 0
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError("TensorFlow is not installed: pip install -r requirements.txt")
    run = runs.start(run)
    print(runs.describe(run))
    print(f"\n{'Continuing' if run.resume else 'Writing to'} {run.run_dir}", flush=True)

    quiet.import_tensorflow()
    if classifiers:
        from training.classifiers import trainer as classifier

        return classifier.train(run)
    from training import loop

    evaluator = None
    if run.config.metrics.names:
        from metrics.snapshots import DuringTraining as evaluator
    return loop.train(
        run.config, run_dir=run.run_dir, resume_from=run.transfer_from, make_evaluator=evaluator
    )


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    return exit_code(_run, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
