"""What run_training.py does with its flags."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

from dnnlib import quiet
from dnnlib.errors import UserError
from training import presets, runs
from training.classifiers import runs as classifier_runs
from training.classifiers.runs import ClassifierRun
from training.request import Request
from training.runs import ResolvedRun


def train(
    args: dict[str, Any], check_metrics: Callable[[str], Any], make_evaluator: Callable
) -> int:
    """Trains what was asked for, or tells what it would do; returns the exit code.

    check_metrics: raises UserError for a list of metrics' names with an unknown one.
    make_evaluator: as of training/loop.py. Metrics are above training, which is why both come
    with the call.
    """
    if args["list_presets"]:
        print(presets.listing())
        return 0
    request = Request.of(args)
    run: ClassifierRun | ResolvedRun
    if classifier_runs.wanted(request):
        run, evaluator = classifier_runs.plan(request), None
    else:
        run = runs.plan(request)
        names = run.config.metrics.names
        if names:
            check_metrics(",".join(names))
        evaluator = make_evaluator if names else None
    for note in run.notes:
        print(f"Changed for this run: {note}")
    if args["dry_run"]:
        run.check_start()
        print(run.describe_all())
        return 0
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError("TensorFlow is not installed: pip install -r requirements.txt")
    with run.starting() as run:
        print(run.describe())
        print(f"\n{'Continuing' if run.resume else 'Writing to'} {run.run_dir}", flush=True)
        quiet.import_tensorflow()
        return _train(run, evaluator)


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
