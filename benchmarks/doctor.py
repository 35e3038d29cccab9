"""Do runs say what is wrong with them? Trains runs with a fault built in, and healthy ones.

    nice python -m benchmarks.doctor --out=/tmp/doctor           # three seeds, an hour on one core
    python -m benchmarks.doctor --out=/tmp/doctor --judge        # of what is there

Every run is recorded in a directory of its own, so that what is there is not trained again, and can
be judged once more when a threshold has changed. A fault is found when one of the checks that its
case expects has spoken; whatever a healthy run says is a false alarm. docs/verdicts.md has the
tables.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.doctor_zoo import CASES, Case, make_data
from dnnlib import atomic, config as config_lib
from dnnlib.errors import UserError
from training import presets, saved_config
from training.check_list import CHECKS, PREFIX, facts_of
from training.checks import Facts, judge, numbers_of

_FINISHED = "finished"  # in a run's directory: how long it took


class Told(NamedTuple):
    """What one run said: {check: (kimg at which it began, the number then)}."""

    case: Case
    seed: int
    verdicts: dict[str, tuple[float, float]]

    @property
    def caught(self) -> bool:
        return any(name in self.verdicts for name in self.case.expected)


def directory(out: Path, case: Case, seed: int) -> Path:
    return out / f"{case.name.replace(' ', '-').replace(',', '')}-{seed}"


def train_all(out: Path, seeds: Sequence[int], cases: Sequence[Case]) -> None:
    """Trains what is not there yet, seed by seed."""
    from training.loop import train

    make_data(out / "data")
    for seed in seeds:
        for case in cases:
            run_dir = directory(out, case, seed)
            if (run_dir / _FINISHED).exists():
                continue
            config = config_lib.apply_overrides(
                presets.make(case.preset), case.overrides(out / "data", seed)
            )
            run_dir.mkdir(parents=True, exist_ok=True)
            saved_config.save(run_dir, config)
            print(f"=== {run_dir}", flush=True)
            start = time.monotonic()
            try:
                code = train(config, run_dir)
                if code:
                    sys.exit(code)
            except UserError as error:  # it has diverged
                print(error)
            (run_dir / _FINISHED).write_text(f"{time.monotonic() - start:.0f} s\n")


def ticks_of(run_dir: Path) -> list[dict[str, float]]:
    """What a run recorded, tick by tick."""
    return [numbers_of(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]


def listen(ticks: Sequence[Mapping[str, float]], facts: Facts, case: Case, seed: int) -> Told:
    """Judges a run by its records, with the checks as they are now."""
    told: dict[str, tuple[float, float]] = {}
    for tick, opinion in zip(ticks, judge(ticks, facts, CHECKS)):
        for verdict in opinion.begun:
            told.setdefault(verdict.check.name, (tick["cur_nimg"] / 1000, verdict.value))
    return Told(case, seed, told)


def columns(ticks: Sequence[Mapping[str, float]]) -> dict[str, list[Optional[float]]]:
    """{name: a number a tick}, to three digits, of what the checks look at: for the tests."""
    wanted = ("cur_nimg", "Progress/resolution", "Loss/r1_penalty", PREFIX, "Overflow/")
    names = sorted({name for tick in ticks for name in tick if name.startswith(wanted)})
    return {name: [_short(tick.get(name)) for tick in ticks] for name in names}


def _short(value: Optional[float]) -> Optional[float]:
    return value if value is None or isinstance(value, int) else float(f"{value:.3g}")


def rows(columns_: Mapping[str, Sequence[Optional[float]]]) -> list[dict[str, float]]:
    """Ticks again, from their columns."""
    records = zip(*columns_.values())
    return [{k: v for k, v in zip(columns_, row) if v is not None} for row in records]


def tables(runs: Sequence[Told]) -> str:
    """Two tables: by case, and by check."""
    lines = ["| run | seeds | found | says |", "| --- | --- | --- | --- |"]
    for case in CASES.values():
        own = [run for run in runs if run.case is case]
        if not own:
            continue
        said = Counter(name for run in own for name in run.verdicts)
        says = ", ".join(f"{name} {count}" for name, count in said.most_common()) or "–"
        found = f"{sum(run.caught for run in own)} of {len(own)}" if case.expected else "healthy"
        lines.append(f"| {case.name} | {len(own)} | {found} | {says} |")
    faulty = [run for run in runs if run.case.expected]
    healthy = [run for run in runs if not run.case.expected]
    lines += ["", "| check | expected of, and said by | false alarms |", "| --- | --- | --- |"]
    for check in CHECKS:
        wanted = [run for run in faulty if check.name in run.case.expected]
        said_by = f"{sum(check.name in run.verdicts for run in wanted)} of {len(wanted)}"
        alarms = sum(check.name in run.verdicts for run in healthy)
        lines.append(f"| {check.name} | {said_by if wanted else '–'} | {alarms} |")
    alarms = sum(len(run.verdicts) for run in healthy)
    lines += [
        "",
        f"Faults found: {sum(run.caught for run in faulty)} of {len(faulty)}. "
        f"False alarms: {alarms} in {len(healthy)} healthy runs.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--judge", action="store_true", help="train nothing")
    parser.add_argument("--record", type=Path, help="write what the first seed recorded, short")
    parser.add_argument("--details", action="store_true", help="every verdict of every run")
    args = parser.parse_args()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    cases = [case for case in CASES.values() if args.only in case.name]
    if not args.judge:
        train_all(args.out, seeds, cases)
    recorded, runs = {}, []
    for case in cases:
        for seed in seeds:
            run_dir = directory(args.out, case, seed)
            if not (run_dir / _FINISHED).exists():
                continue
            facts = facts_of(saved_config.load_config(run_dir))
            runs.append(listen(ticks_of(run_dir), facts, case, seed))
            if seed == seeds[0]:
                recorded[case.name] = columns(ticks_of(run_dir))
    if args.record:
        lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in recorded.items()]
        atomic.write_text(args.record, "{\n" + ",\n".join(lines) + "\n}\n")
    if args.details:
        for run in runs:
            said = [f"{k} at {kimg:g} kimg ({v:.3g})" for k, (kimg, v) in run.verdicts.items()]
            print(f"{run.case.name}, {run.seed}: {'; '.join(said) or '–'}")
        print()
    print(tables(runs))


if __name__ == "__main__":
    main()
