"""The metrics by name. Needs neither TensorFlow nor any network."""

from __future__ import annotations

import dataclasses
import re
from typing import Optional

from dnnlib.config import nearest
from dnnlib.errors import UserError
from metrics.copies import copies
from metrics.declaration import Declaration, Metric
from metrics.fid import fid, fid_full
from metrics.inception_score import inception_score
from metrics.kid import kid, kid_full
from metrics.ls import ls
from metrics.ppl import ppl
from metrics.ppl2 import ppl2
from metrics.precision_recall import pr, pr_full

# All there are, in the order in which they are shown. A new one needs its file and a place here.
METRICS: list[Declaration] = [
    *(fid, ppl, ls, ppl2),
    *(fid_full, kid, kid_full, pr, pr_full, inception_score, copies),
]
MOST = 10_000_000  # samples


def standard_metrics() -> list[Metric]:
    """Every metric with its standard count."""
    return [metric for declaration in METRICS for metric in declaration.standard_metrics()]


def standard_names() -> list[str]:
    """The names to ask for them by."""
    return [metric.name for metric in standard_metrics()]


def summary() -> str:
    """The metrics in words, each with its names, and the names of its numbers where it has several:
    for help."""
    described = []
    for declaration in METRICS:
        metrics = declaration.standard_metrics()
        names = [metric.name for metric in metrics]
        if len(declaration.parts) > 1:
            names = [f"{metric.name}: {' and '.join(metric.keys)}" for metric in metrics]
        described.append(f"{declaration.title} ({', '.join(names)})")
    return f"{', '.join(described[:-1])} and {described[-1]}"


def parse(name: str, count: Optional[int] = None) -> Metric:
    """The metric `name`: a standard one, or with a count of its own, 'fid5k', 'ppl_wend-10k'.

    count: for names without one; a standard name, 'fid50k' too, counts as such.
    Raises UserError for an unknown name or a count that is too small.
    """
    standard, own_count = _find(name)
    if own_count is None:
        own_count = standard.count if count is None else count
    least = standard.declaration.least
    if not least <= own_count <= MOST:
        raise UserError(f"metric {name}: {own_count:,} samples; expected {least} to {MOST:,}")
    return dataclasses.replace(standard, count=own_count)


def parse_list(text: str, count: Optional[int] = None) -> list[Metric]:
    """'fid50k,ppl_wend' → metrics, each once; 'all' is the paper's numbers."""
    if text.strip() == "all":
        names = [metric.name for metric in standard_metrics() if metric.declaration.in_all]
    else:
        names = [part.strip() for part in text.split(",")]
    metrics = list(dict.fromkeys(parse(name, count) for name in names if name))
    if not metrics:
        raise UserError(f"no metric is named; known: {', '.join(standard_names())}")
    return metrics


def _number(digits: str) -> int:
    return int(digits) if len(digits) <= 12 else MOST + 1  # as good as any that is too large


def _find(name: str) -> tuple[Metric, Optional[int]]:
    """(the metric with its standard count, the count that a user put into the name)."""
    for metric in standard_metrics():
        if name == metric.name:
            return metric, None
        match = re.fullmatch(metric.declaration.pattern(metric.family), name)
        if match:
            digits, thousands = match.groups()
            return metric, _number(digits) * (1000 if thousands else 1) if digits else None
    names = standard_names()
    raise UserError(
        f"unknown metric {name!r}{nearest(name, names)}; known: {', '.join(names)}, and with "
        "another number of samples: fid5k, ppl_wend-10k, pr5k3_full"
    )
