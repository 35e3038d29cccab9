"""What each command of dataset_tool.py does with its flags; all return the exit code."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any

from datasets.convert import convert
from datasets.format.info import inspect
from datasets.labels import list_classes
from datasets.sources.base import Source
from datasets.workers import limited_memory
from dnnlib.errors import UserError

Args = dict[str, Any]


@contextlib.contextmanager
def memory_limit(name: str, args: Args) -> Iterator[None]:
    """Limits what making a set may allocate in this process, which looks at strangers' files.

    Raises UserError where it needs more.
    """
    if "memory_gb" not in args:
        yield
        return
    try:
        with limited_memory(args["memory_gb"]):
            yield
    except MemoryError:
        raise UserError(
            f"{name}: needs more memory than --memory_gb={args['memory_gb']:g}; give more, or look "
            "for a damaged file"
        ) from None


def _convert(args: Args, source: Source) -> int:
    names = getattr(source, "label_names", ())
    if names:
        print("Labels:", list_classes(names))
    report = convert(
        source,
        args["out"],
        name=args["name"],
        workers=args["workers"],
        skip_bad=args["skip_bad"],
        memory_gb=args["memory_gb"],
    )
    print("\n".join(report.lines()))
    return 0


def create_from_images(args: Args) -> int:
    from datasets.sources.images import Images

    names = "resolution resize crop channels background labels shuffle max_images".split()
    source = Images(args["source"], **{name: args[name] for name in names})
    if source.ignored:
        print(f"{source.ignored:,} file(s) are no pictures by their suffix and are left out.")
    if source.no_labels:
        print(f"No labels: {source.no_labels}.")
    return _convert(args, source)


def create_mnist(args: Args) -> int:
    from datasets.sources.mnist import Mnist

    return _convert(args, Mnist(args["source"]))


def create_mnistrgb(args: Args) -> int:
    from datasets.sources.mnist import MnistRgb

    return _convert(args, MnistRgb(args["source"], args["num_images"], args["seed"]))


def create_cifar10(args: Args) -> int:
    from datasets.sources.cifar import Cifar10

    return _convert(args, Cifar10(args["source"]))


def create_cifar100(args: Args) -> int:
    from datasets.sources.cifar import Cifar100

    return _convert(args, Cifar100(args["source"]))


def create_svhn(args: Args) -> int:
    from datasets.sources.svhn import Svhn

    return _convert(args, Svhn(args["source"]))


def create_lsun(args: Args) -> int:
    from datasets.sources.lsun import Lsun

    return _convert(args, Lsun(args["source"], args["resolution"], args["max_images"]))


def create_lsun_wide(args: Args) -> int:
    from datasets.sources.lsun import LsunWide

    size = args["width"], args["height"]
    return _convert(args, LsunWide(args["source"], *size, args["max_images"]))


def create_celeba(args: Args) -> int:
    from datasets.sources.celeba import Celeba

    return _convert(args, Celeba(args["source"], args["cx"], args["cy"]))


def create_from_hdf5(args: Args) -> int:
    from datasets.sources.arrays import Hdf5

    return _convert_arrays(args, Hdf5(args["source"]))


def create_from_npz(args: Args) -> int:
    from datasets.sources.arrays import Npz

    return _convert_arrays(args, Npz(args["source"]))


def _convert_arrays(args: Args, source: Source) -> int:
    source.shuffled = args["shuffle"]
    return _convert(args, source)


def create_digits(args: Args) -> int:
    from datasets.sources.arrays import Digits

    return _convert(args, Digits())


def info(args: Args) -> int:
    from datasets import inspection

    print("\n".join(inspection.info(args["dataset"])))
    return 0


def display(args: Args) -> int:
    from datasets import inspection

    chosen = (args[name] for name in ("dataset", "out", "grid", "layout", "seed"))
    print(inspection.display(*chosen))
    return 0


def extract(args: Args) -> int:
    from datasets import inspection

    limits = {name: args[name] for name in ("workers", "max_images")}
    print(inspection.extract(args["dataset"], args["out"], **limits))
    return 0


def compare(args: Args) -> int:
    from datasets import verification

    lines = verification.compare(args["dataset"], args["other"], workers=args["workers"])
    print("\n".join(lines or ["The data sets are equal."]))
    return 1 if lines else 0


def verify(args: Args) -> int:
    from datasets import verification

    lines = verification.verify(args["dataset"], workers=args["workers"])
    print("\n".join(lines or ["The data set is intact."]))
    return 1 if lines else 0


def check(args: Args) -> int:
    from datasets import checking, inspection

    if args["out"]:  # before minutes of looking
        inspection.check_sheet(args["out"])
    examination = checking.examine(inspect(args["dataset"]))
    if args["json"]:
        print(json.dumps(examination.to_json(), indent=2))
    else:
        print("\n".join(examination.lines()))
    if args["out"] and examination.findings:
        checking.show(examination, args["out"])
        print(f"Wrote {args['out']}", file=sys.stderr)
    return 1 if args["strict"] and examination.findings else 0
