"""What run_metrics.py does, as functions of its flags."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any, Optional

from compute.cluster import read_cluster
from compute.devices import make_strategy, silence_xla
from compute.replica_map import ReplicaMap
from dnnlib import run_dirs
from dnnlib.download import local_path
from dnnlib.errors import UserError
from metrics import registry, results, snapshots
from metrics.evaluation import evaluate as evaluate_network
from metrics.features import weights
from metrics.tools import Settings, Tools
from training.saved_config import load_config


def evaluate(args: dict[str, Any]) -> None:
    """Evaluates the networks that --network or --run_dir name; prints a line for each result."""
    say = partial(print, flush=True)
    metrics = registry.parse_list(args["metrics"], args["num_images"])
    if bool(args["network"]) == bool(args["run_dir"]):
        raise UserError("give one of --network=FILE and --run_dir=RUN")
    if read_cluster().num_workers > 1:
        raise UserError("TF_CONFIG names several machines; metrics are for one: unset it")
    run_dir = None
    if args["run_dir"]:
        run_dir = run_dirs.find(args["result_dir"], args["run_dir"])
    out = args["out"] or run_dir
    if out:
        results.check_writable(out)
    if run_dir:
        paths = snapshots.choose(run_dir, args["snapshots"])
    else:
        paths = [local_path(args["network"], cache_dir=args["cache_dir"], say=say)]
    settings = _settings(args, run_dir)
    replica_map = ReplicaMap(make_strategy(args["num_gpus"]))
    silence_xla()
    failed = []
    with Tools(settings, replica_map, say) as tools:
        tools.check(metrics)
        for path in paths:
            try:
                evaluate_network(path, metrics, tools, run_dir=out)
            except UserError as error:
                if len(paths) == 1:
                    raise
                print(f"{path.name}: {error}", file=sys.stderr)  # and go on with the others
                failed.append(path.name)
    if failed:
        raise UserError(f"{len(failed)} of {len(paths)} snapshots could not be evaluated")


def convert_weights(args: dict[str, Any]) -> None:
    """Writes a feature network's weights in this package's own form."""
    given = [name for name in weights.PUBLISHED if args[f"{name}_weights"]]
    if len(given) != 1 or not args["out"]:
        raise UserError(
            "convert_weights: give --out=FILE.safetensors and one of "
            + " and ".join(f"--{name}_weights=FILE" for name in weights.PUBLISHED)
        )
    source, cache_dir = args[f"{given[0]}_weights"], args["cache_dir"]
    weights.convert(given[0], source, args["out"], cache_dir=cache_dir, say=print)
    print(f"wrote {args['out']}")


def _settings(args: dict[str, Any], run_dir: Optional[Path]) -> Settings:
    dataset, data_dir, mirror = args["dataset"], args["data_dir"], args["mirror"]
    replace_damaged, subset, subset_seed = False, args["subset"], 0
    if run_dir is not None:
        trained = load_config(run_dir).dataset
        if dataset is None:
            dataset, data_dir = trained.name, data_dir or trained.data_dir
            replace_damaged = trained.replace_damaged
            subset, subset_seed = subset or trained.subset, trained.subset_seed
        mirror = trained.mirror_augment if mirror is None else mirror
    return Settings(
        seed=args["seed"],
        minibatch=args["minibatch"],
        precision=args["precision"],
        mirror=bool(mirror),
        svm=args["svm"],
        inception_weights=args["inception_weights"],
        vgg16_weights=args["vgg16_weights"],
        classifiers=tuple(part for part in (args["classifiers"] or "").split(",") if part),
        cache_dir=args["cache_dir"],
        dataset=dataset,
        data_dir=data_dir,
        replace_damaged=replace_damaged,
        subset=subset,
        subset_seed=subset_seed,
    )
