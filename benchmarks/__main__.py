"""`make bench`: speed and memory of full-width networks, as shares of their own floor.

Each line is a process of its own. "floor" is the convolution-only floor (benchmarks/floor.py),
measured in the same process in turns with the step, so "share" compares between machines where
images/s do not; "cpu" is the same share of processor time, for a machine that is not idle.
"peak" is of the step alone; "first s" is a stage's first iteration, tracing and compiling
included. docs/speed.md has results and what they mean.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

MINIBATCH = {32: 32, 64: 16, 128: 8, 256: 4, 1024: 1}
FAMILIES = ("stylegan", "stylegan2")
COLUMNS = "{:>10} {:>9} {:>5} {:>3} {:>9} {:>9} {:>9} {:>6} {:>6} {:>8} {:>9}"


def measured(module: str, *arguments: object) -> Any:
    """What a module of benchmarks/ prints as its last line, in a fresh process: JSON."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def run_case(
    what, resolution, dtype, *, minibatch=None, repeats=3, level=0, family="stylegan"
) -> dict:
    """One measurement in a fresh process; its result."""
    return measured(
        "case",
        what,
        f"--family={family}",
        f"--resolution={resolution}",
        f"--minibatch={minibatch or MINIBATCH[resolution]}",
        f"--dtype={dtype}",
        f"--repeats={repeats}",
        f"--level={level}",
    )


def show(result: dict) -> None:
    print(
        COLUMNS.format(
            result["family"],
            result["what"],
            result["resolution"],
            result["minibatch"],
            result["dtype"],
            f"{result['images_per_second']:.3g}",
            f"{result['floor_images_per_second']:.3g}",
            f"{result['share_of_floor']:.0%}",
            f"{result['share_of_floor_cpu']:.0%}",
            f"{result['peak_gb']:.1f}",
            f"{result['first_seconds']:.1f}",
        ),
        flush=True,
    )


def low_stage(repeats: int) -> None:
    """The cost of a low lod must be that of its own size, whatever the full resolution."""
    large = run_case("iterate", 256, "float32", minibatch=16, repeats=repeats, level=4)
    small = run_case("iterate", 16, "float32", minibatch=16, repeats=repeats)
    ratio = small["images_per_second"] / large["images_per_second"]
    print(f"\n16x16 stage of a 256x256 network: {ratio:.2f} times the cost of a 16x16 network")


def input_pipeline(images_per_second: float, resolution: int) -> None:
    """How much faster than training the reader is."""
    import time

    from datasets.format.reader import inspect, open_dataset

    with open_dataset(inspect("digits")) as dataset:
        dataset.minibatch(0, 1, 0, 0)
        start = time.perf_counter()
        for position in range(0, 64000, 64):
            dataset.minibatch(position, 64, 0, 0)
        rate = 64000 / (time.perf_counter() - start)
    ratio = rate / images_per_second
    print(f"Reading digits (32x32): {rate:,.0f} images/s, {ratio:,.0f} times training at 32x32")


def opening(repeats: int) -> list[dict]:
    """Opening 1024x1024 networks in fresh processes, and generating with what was opened."""
    results = []
    with tempfile.TemporaryDirectory() as directory:
        make = [sys.executable, "-m", "benchmarks.opening", "make", directory]
        subprocess.run(make, check=True)
        for kind, suffix in (("snapshot", "safetensors"), ("pickle", "pkl")):
            path = os.path.join(directory, f"networks.{suffix}")
            result = measured("opening", "open", path, f"--repeats={repeats}")
            results.append({"what": f"open {kind}", **result})
            show_opening(kind, results[-1])
    return results


def show_opening(kind: str, result: dict) -> None:
    print(
        f"Opening three 1024x1024 networks, {kind} of {result['file_gb']:.2f} GB: "
        f"{result['seconds']:.1f} s ({result['seconds_cpu']:.1f} s of processor time), "
        f"{result['ratio_to_read']:.0f} times reading the file; "
        f"peak {result['peak_gb']:.2f} GB above TensorFlow"
    )
    if "generation" in result:
        made = result["generation"]
        print(
            f"  its frozen copy: {result['copy_seconds']:.1f} s; the first image: "
            f"{made['first_seconds']:.1f} s, peak {made['peak_gb']:.2f} GB; then "
            f"{made['images_per_second']:.3g} images/s, {made['share_of_floor']:.0%} of the floor "
            f"({made['share_of_floor_cpu']:.0%} of processor time)",
            flush=True,
        )


def stored_or_derived() -> list[dict]:
    """What the files of lower resolutions are good for, in a fresh process."""
    results = measured("reading")
    for result in results:
        print(
            f"Reading a 1024x1024 set at {result['resolution']}: {result['stored']:,.0f} images/s; "
            f"{result['derived']:,.0f} if derived from the full images"
        )
    return [{"what": "reading", **result} for result in results]


def evaluation() -> list[dict]:
    """Metrics at 256x256, and their arithmetic at the paper's size, in fresh processes."""
    results = [
        {"what": f"metrics {what}", **measured("metrics", what)}
        for what in ("profile", "arithmetic")
    ]
    for metric in ("fid", "ppl_wfull", "ls"):
        result = results[0][metric]
        print(
            f"{metric} at 256x256: {result['images_per_second']:.3g} images/s, "
            f"{result['share_in_networks']:.1%} of the time in networks"
        )
    seconds = {name: value for name, value in results[1].items() if name != "what"}
    print("Arithmetic: " + ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items()))
    return results


def conversion() -> list[dict]:
    """Making data sets: more workers, where the time goes, and memory, in fresh processes."""
    results = [
        {"what": f"conversion {what}", **measured("conversion", what)}
        for what in ("photos", "small")
    ]
    photos, small = results
    for resolution in (256, 1024):
        result = photos[str(resolution)]
        busy = sum(result[part] for part in ("read", "encode", "write"))
        shares = ", ".join(
            f"{part} {result[part] / busy:.0%}" for part in ("read", "encode", "write")
        )
        print(
            f"Photos to {resolution}x{resolution}: {result['images_per_second']:.3g} images/s with "
            f"{photos['workers']} workers, {result['speedup']:.2f} times one worker's rate "
            f"({result['speedup_cpu']:.2f} by processor time); {shares}"
        )
    print(
        f"{small['images']:,} images of 32x32: {small['images_per_second']:,.0f} images/s, peak "
        f"{small['peak_gb']:.2f} GB, {small['peak_gb_with_workers']:.2f} GB with workers"
    )
    return results


def low_precision(steps: int = 50) -> None:
    """How far bfloat16's losses are from float32's, from the same weights."""
    result = run_case("losses", 32, "bfloat16", minibatch=16, repeats=steps)
    for network in "DG":
        pairs = list(zip(result[f"{network}_float32"], result[f"{network}_bfloat16"]))
        mean = abs(sum(b - a for a, b in pairs)) / sum(abs(a) for a, _ in pairs)
        each = sum(abs(b - a) for a, b in pairs) / sum(abs(a) for a, _ in pairs)
        print(
            f"bfloat16 against float32 over {steps} steps: {network}'s loss differs by "
            f"{each:.2%} a step, its mean by {mean:.2%}"
        )


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--resolutions", type=int, nargs="+", default=[32, 64, 128, 256, 1024])
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many counts")
    parser.add_argument("--quick", action="store_true", help="64x64 in float32 alone, once")
    parser.add_argument("--json", help="also write all results to this file")
    args = parser.parse_args()
    if args.quick:
        args.resolutions, args.precision, args.repeats = [64], ["float32"], 1

    print(
        COLUMNS.format(
            "",
            "",
            "size",
            "mb",
            "precision",
            "images/s",
            "floor",
            "share",
            "cpu",
            "peak GB",
            "first s",
        )
    )
    results = []
    for family, dtype, resolution in itertools.product(
        args.families, args.precision, args.resolutions
    ):
        for what in ("generate", "iterate"):
            if what == "iterate" and resolution > 256:
                continue  # more memory and patience than a small machine has
            result = run_case(what, resolution, dtype, repeats=args.repeats, family=family)
            results.append(result)
            show(result)
    if not args.quick:
        if "bfloat16" in args.precision:
            low_precision()
        low_stage(args.repeats)
        trained = [r for r in results if (r["what"], r["resolution"]) == ("iterate", 32)]
        if 1024 in args.resolutions:
            results += opening(args.repeats)
        results += stored_or_derived()
        results += evaluation()
        results += conversion()
        if trained:
            input_pipeline(trained[0]["images_per_second"], 32)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
