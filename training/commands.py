"""What run_training.py does with its flags."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable
from typing import Any

from compute import machine
from compute.cluster import read_cluster
from datasets import checking
from dnnlib import quiet
from dnnlib.errors import UserError
from training import forks, presets, runs, workload
from training.classifiers import runs as classifier_runs
from training.classifiers.runs import ClassifierRun
from training.config import TrainingConfig
from training.forks import Fork
from training.request import Request
from training.runs import ResolvedRun


def train(
    args: dict[str, Any],
    check_metrics: Callable[[str], Any],
    look_at_metrics: Callable[[TrainingConfig], list[str]],
    make_evaluator: Callable,
) -> int:
    """Trains what was asked for, or tells what it would do; returns the exit code.

    check_metrics: raises UserError for a list of metrics' names with an unknown one.
    look_at_metrics: raises UserError for what they need and is not there; returns notes; brings
    TensorFlow. make_evaluator: as of training/loop.py. Metrics are above training, which is why all
    these come with the call.
    """
    if args["list_presets"]:
        print(presets.listing())
        return 0
    request = Request.of(args)
    if args["measure"] and not args["dry_run"]:
        raise UserError("--measure goes with --dry_run: it makes no run")
    run: ClassifierRun | ResolvedRun
    if classifier_runs.wanted(request):
        if request.fork:
            raise UserError("--fork: a run of classifiers has no checkpoints to go back to")
        run, evaluator = classifier_runs.plan(request), None
    else:
        run = forks.plan(request) if request.fork else runs.plan(request)
        names = run.config.metrics.names
        if names:
            check_metrics(",".join(names))
        evaluator = make_evaluator if names else None
    for note in run.notes:
        print(f"Changed for this run: {note}")
    if args["dry_run"]:
        run.check_start()
        lines = _preview(run, look_at_metrics if evaluator else None, args["measure"])
        print("\n".join([run.describe_all(), *lines]), flush=True)
        if args["measure"]:
            print("\n" + "\n".join(_forecast(run)))
        return 0
    if not _has_tensorflow():
        raise UserError("TensorFlow is not installed: pip install -r requirements.txt")
    if isinstance(run, ResolvedRun):
        run = _looked_at(run)
    with contextlib.ExitStack() as stack:
        if isinstance(run, Fork):
            quiet.import_tensorflow()
            forks.check_fit(run)
            place = stack.enter_context(forks.made(run))
            run = runs.plan(Request(resume=str(place)))
        return _start(run, evaluator)


def _start(run: ClassifierRun | ResolvedRun, evaluator: Callable | None) -> int:
    with run.starting() as run:
        print(run.describe())
        _glance(run)
        print(f"\n{'Continuing' if run.resume else 'Writing to'} {run.run_dir}", flush=True)
        quiet.import_tensorflow()
        return _train(run, evaluator)


def _looked_at(run: ResolvedRun) -> ResolvedRun:
    """The run with the file that it starts from, if any, which is known to fit.

    Nothing is made before; only what has to be downloaded is in the cache. Raises UserError where
    nothing in the file fits.
    """
    run.check_start()
    run = run.prepared()
    if run.source is not None:
        quiet.import_tensorflow()
        from training import preview

        preview.check(run)
    return run


def _forecast(run: ClassifierRun | ResolvedRun) -> list[str]:
    if isinstance(run, ClassifierRun):
        raise UserError("--measure: forecasts are of G and D, not of classifiers; leave it out")
    if not _has_tensorflow():
        raise UserError("TensorFlow is not installed: pip install -r requirements.txt")
    began = workload.now()
    quiet.import_tensorflow()
    from training import forecast

    return forecast.measure(run, began).lines()


def _glance(run: ClassifierRun | ResolvedRun) -> None:
    """Says what may spoil a new run about its data, if there is something."""
    if run.resume or not read_cluster().is_chief:
        return
    try:
        line = checking.glance(run.dataset_info)
    except UserError:  # a damaged record, which may be meant to be replaced: training tells
        return
    if line:
        print(f"\nnote: {line}")


def _has_tensorflow() -> bool:
    return importlib.util.find_spec("tensorflow") is not None


def _preview(
    run: ClassifierRun | ResolvedRun,
    look_at_metrics: Callable[[TrainingConfig], list[str]] | None,
    measured: bool,
) -> list[str]:
    """What the start would say of files that it takes something from; writes nothing.

    TensorFlow is there for shapes alone, and is not started unless there are such files. Raises
    UserError where the start would.
    """
    lines, gpus = [], machine.num_gpus()
    if run.config.num_gpus > gpus:
        lines.append(f"note: it cannot start here: num_gpus={run.config.num_gpus}, GPUs: {gpus}")
    if not _has_tensorflow():
        lines.append("note: it cannot start here: TensorFlow is not installed")
    if isinstance(run, ClassifierRun):
        return lines
    run.check_data()
    if look_at_metrics is not None and not read_cluster().is_chief:
        look_at_metrics = None  # the chief alone evaluates
    if (
        not (look_at_metrics or run.continues or run.source or run.config.freeze_d)
        and not isinstance(run, Fork)
    ) or not _has_tensorflow():
        return lines
    if "tensorflow" not in sys.modules:
        tensorflow = quiet.import_tensorflow()
        if not measured:  # others may be using them
            tensorflow.config.set_visible_devices([], "GPU")
    from training import preview

    if isinstance(run, Fork):
        forks.check_fit(run)
    if look_at_metrics is not None:
        lines += [f"note: {line}" for line in look_at_metrics(run.config)]
    return lines + preview.check(run)


def _train(run: ClassifierRun | ResolvedRun, evaluator: Callable | None) -> int:
    if isinstance(run, ClassifierRun):
        from training.classifiers import trainer

        return trainer.train(run, locked=True)
    from training import loop

    return loop.train(
        run.config,
        run_dir=run.run_dir,
        resume_from=run.transfer_from,
        make_evaluator=evaluator,
        parts=run.parts,
        dataset_info=run.dataset_info,
        locked=True,
    )
