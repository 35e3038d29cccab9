"""The checks of training/checks.py: what each measures, its thresholds, and what it says.

Thresholds were chosen on some runs of benchmarks/doctor.py, and tried on others
(docs/verdicts.md says which, and what came of it).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Optional

from training import loss_options
from training.checks import WINDOW, Check, Facts, Tick

PREFIX = "Checks/"  # of the evidence in stats.jsonl and TensorBoard
Measure = Callable[[Sequence[Tick], Facts], Optional[float]]


def facts_of(config: Any) -> Facts:
    """config: a TrainingConfig whose losses exist."""
    chosen = loss_options.objective("D", config.D_loss, config.D_reg)
    keywords = {**chosen.keywords, **chosen.reg_keywords}
    scaling = config.loss_scaling
    penalised = any(keywords.get(name) for name in ("r1_gamma", "r2_gamma", "wgan_lambda"))
    return Facts(
        loss=next(kind for kind in ("wgan", "hinge", "logistic") if kind in chosen.loss),
        r1_gamma=keywords.get("r1_gamma", 0.0),
        penalised=penalised or bool(config.D.get("spectral_norm")),
        loss_scaling=config.precision == "mixed_float16" if scaling is None else scaling,
        augmented=config.augment.transforms != "none",
    )


# ---------------------------------------------------------------- measures


def _rows(ticks: Sequence[Tick], *keys: str, most: int = WINDOW) -> list[list[float]]:
    """The numbers of the newest ticks that have all of them."""
    rows = [[tick[key] for key in keys] for tick in ticks if all(key in tick for key in keys)]
    return rows[-most:]


def _means(
    ticks: Sequence[Tick], *keys: str, least: int = 3, most: int = WINDOW
) -> Optional[list[float]]:
    """Their means; None for less than `least` ticks."""
    rows = _rows(ticks, *keys, most=most)
    return [sum(column) / len(rows) for column in zip(*rows)] if len(rows) >= least else None


def _mean(name: str, least: int = 3, most: int = WINDOW) -> Measure:
    def measure(ticks: Sequence[Tick], facts: Facts) -> Optional[float]:
        means = _means(ticks, name, least=least, most=most)
        return means[0] if means else None

    return measure


def _ratio(above: str, below: str, least: int = 3, most: int = WINDOW) -> Measure:
    """Of two means."""

    def measure(ticks: Sequence[Tick], facts: Facts) -> Optional[float]:
        means = _means(ticks, PREFIX + above, PREFIX + below, least=least, most=most)
        return means[0] / means[1] if means and means[1] > 1e-6 else None

    return measure


def _gap(ticks: Sequence[Tick]) -> Optional[float]:
    """By how much D scores training images above generated ones."""
    means = _means(ticks, _TRAIN, _FAKE, least=4)
    return means[0] - means[1] if means else None


def _memory(ticks: Sequence[Tick], facts: Facts) -> Optional[float]:
    """How far D takes held-out images for generated ones: 0 as training images, 1 as those.

    (E[train] − E[held out]) / (E[train] − E[fake]) of scores (Karras et al. 2020, §3).
    """
    means = _means(ticks, _TRAIN, _HELD_OUT, _FAKE, least=6, most=2 * WINDOW)
    if not means or means[0] - means[2] < 0.02:
        return None
    return (means[0] - means[1]) / (means[0] - means[2])


def _victory(ticks: Sequence[Tick], facts: Facts) -> Optional[float]:
    """The smaller share that D tells: of training images, of generated ones."""
    means = _means(ticks, PREFIX + "sign_train", PREFIX + "sign_fake", least=6)
    return min(1 + means[0], 1 - means[1]) / 2 if means else None


def _r(ticks: Sequence[Tick], facts: Facts) -> Optional[float]:
    """r, the mean sign of D's scores of training images; of augmented ones where there are such.

    0 where generated images have a positive score, too: that is D's bias, and no knowledge.
    """
    for name in ("Loss/signs/real", PREFIX + "sign_train"):
        means = _means(ticks, name, PREFIX + "sign_fake", least=12, most=2 * WINDOW)
        if means:
            return means[0] if means[1] < -0.5 else 0.0
    return None


def _step(ticks: Sequence[Tick], facts: Facts) -> Optional[float]:
    means = _means(ticks, PREFIX + "step_G", PREFIX + "step_D", least=6)
    return max(means) if means else None


def _still(ticks: Sequence[Tick], facts: Facts) -> Optional[float]:
    rows = _rows(ticks, PREFIX + "step_G", PREFIX + "step_D", most=4)
    return min(max(column) for column in zip(*rows)) if len(rows) >= 3 else None


def _r1_share(ticks: Sequence[Tick], facts: Facts) -> Optional[float]:
    """What R1 costs, (γ/2)·‖∇D‖², as a share of what D gains: the gap between its scores."""
    gap, slopes = _gap(ticks), _means(ticks, "Loss/r1_penalty", least=4)
    return facts.r1_gamma / 2 * slopes[0] / max(gap, 1e-3) if gap and slopes else None


def _unbounded(ticks: Sequence[Tick], facts: Facts) -> Optional[float]:
    """The gap between D's scores where next to nothing bounds its gradients; else 0."""
    gap, share = _gap(ticks), _r1_share(ticks, facts)
    if facts.penalised and (share is None or share > 0.002):
        return None if share is None else 0.0
    return gap


def _scores(ticks: Sequence[Tick], facts: Facts) -> Optional[float]:
    means = _means(ticks, _TRAIN, _FAKE, most=3)
    return max(map(abs, means)) if means else None


def _standstill(ticks: Sequence[Tick], facts: Facts) -> Optional[float]:
    """How far generated images are from real ones, if that is no less than it was; 0 if it is less,
    None if it may be.

    The energy distance (Székely & Rizzo 2013) over the distance of real images from each other: 0
    where both kinds are alike. Of the newer half of many ticks, which is compared with the older:
    nearer is what is so by 10 %, and by three standard errors.
    """
    names = ("distance_between", "distance_reals", "distance_fakes")
    rows = _rows(ticks, *(PREFIX + name for name in names), most=3 * WINDOW)
    if len(rows) < 3 * WINDOW:
        return None
    apart = [(2 * between - reals - fakes) / max(reals, 1e-6) for between, reals, fakes in rows]
    half = len(apart) // 2
    older, newer = (sum(part) / half for part in (apart[:half], apart[half:]))
    squares = [(value - older) ** 2 for value in apart[:half]]
    squares += [(value - newer) ** 2 for value in apart[half:]]
    error = math.sqrt(sum(squares) / (2 * half - 2) * 2 / half)  # of their difference
    gain = older - newer
    if gain > max(3 * error, 0.1 * older):
        return 0.0
    return newer if gain < max(2 * error, 0.05 * older) else None


def _skipped(ticks: Sequence[Tick], facts: Facts) -> Optional[float]:
    """The share of the steps of the newest ticks, of the phase that lost most of them."""
    names = {name for tick in ticks[-3:] for name in tick if name.startswith("Overflow/")}
    shares = [means[0] for name in names if (means := _means(ticks, name, most=3))]
    return max(shares) if shares else None


def _sure(ticks: Sequence[Tick], name: str, sign: float) -> Optional[float]:
    """A mean over many ticks, moved by three standard errors in the direction of `sign`."""
    values = [row[0] for row in _rows(ticks, PREFIX + name, most=4 * WINDOW)]
    if len(values) < 6:
        return None
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean + sign * 3 * math.sqrt(variance / len(values))


def _labels_say(ticks: Sequence[Tick], facts: Facts) -> Optional[float]:
    means = _means(ticks, PREFIX + "labels_say", least=1)
    return max(means[0], 0.0) if means else None


def _labels_followed(ticks: Sequence[Tick], facts: Facts) -> Optional[float]:
    """What labels explain of generated images as a share of what they do of real ones, at most."""
    fakes, reals = _sure(ticks[-WINDOW:], "labels_fakes", +1), _sure(ticks, "labels_reals", -1)
    return None if fakes is None or reals is None or reals <= 0.01 else max(fakes, 0.0) / reals


def _lost_class(ticks: Sequence[Tick], facts: Facts) -> Optional[float]:
    """The variety of the class with least of it, in two looks, as a share of real images'."""
    names = ("class", "class_distance_fakes", "class_distance_reals")
    looks: dict[float, list] = {}
    for kind, fakes, reals in _rows(ticks, *(PREFIX + name for name in names), most=4 * WINDOW):
        if reals > 1e-6:
            looks.setdefault(kind, []).append(fakes / reals)
    twice = [max(ratios[-2:]) for ratios in looks.values() if len(ratios) >= 2]
    return min(twice) if twice else None


_TRAIN, _HELD_OUT, _FAKE = (PREFIX + f"score_{kind}" for kind in ("train", "held_out", "fake"))

# ---------------------------------------------------------------- the checks

_GO_BACK = (
    "go back to a checkpoint (--fork) with lower schedule.G_lrate_base and D_lrate_base, a higher "
    "gamma, or D.mbstd_group_size=4"
)

CHECKS = (
    Check(
        "memorises",
        _memory,
        begin=0.35,
        end=0.2,
        sentence="D memorises the training images: its score of held-out ones is {value:.0%} of "
        "the way to that of generated ones (too far from {threshold:.0%})",
        remedy="more images, --augment=bgc (or a lower augment.target), dataset.mirror_augment, "
        "or an earlier snapshot",
    ),
    Check(
        "copies",
        _mean(PREFIX + "copies", least=1),
        begin=0.1,
        end=0.05,
        sentence="{value:.0%} of the data set's images are copies of others (too many from "
        "{threshold:.0%})",
        remedy="remove them: they are what D learns by heart first",
        patience=1,
        warm_up=False,
    ),
    Check(
        "collapse",
        _ratio("distance_fakes", "distance_reals"),
        begin=0.4,
        end=0.5,
        sentence="generated images are all alike: {value:.2f} times as far apart as real ones "
        "(too near below {threshold:.2f})",
        remedy=_GO_BACK,
    ),
    Check(
        "repeats",
        _ratio("nearest_fakes", "nearest_reals"),
        begin=0.25,
        end=0.35,
        sentence="generated images repeat: to the nearest other one it is {value:.2f} times as far "
        "as between real ones (too near below {threshold:.2f})",
        remedy=_GO_BACK,
    ),
    Check(
        "classes collapse",
        _ratio("class_distance_fakes", "class_distance_reals", least=6),
        begin=0.25,
        end=0.35,
        sentence="generated images of one label are all alike: {value:.2f} times as far apart as "
        "real ones of one label (too near below {threshold:.2f})",
        remedy="lower rates, a higher r1_gamma, or fewer label columns (dataset.max_label_size)",
    ),
    Check(
        "class lost",
        _lost_class,
        begin=0.15,
        end=0.25,
        sentence="one label's generated images are all alike: {value:.2f} times as far apart as "
        "its real ones (too near below {threshold:.2f})",
        remedy="look at it in fakes*.png (grid.layout=row_per_class); more images of that label",
    ),
    Check(
        "labels say nothing",
        _labels_say,
        begin=0.01,
        end=0.02,
        sentence="labels say nothing about the images: they explain {value:.1%} of how these "
        "differ (too little below {threshold:.0%})",
        remedy="look whether labels and images are in the same order (dataset_tool.py display), or "
        "train without: dataset.max_label_size=0",
        patience=1,
        warm_up=False,
    ),
    Check(
        "labels ignored",
        _labels_followed,
        begin=0.3,
        end=0.5,
        sentence="G does not follow the labels: they explain {value:.0%} of what they do of real "
        "images (too little below {threshold:.0%})",
        remedy="train longer, or a higher D_lrate_base",
    ),
    Check(
        "R1 too strong",
        _r1_share,
        begin=2.0,
        end=1.0,
        sentence="R1 holds D down: the penalty is {value:.1f} times what D gains, its score of "
        "real images above generated ones (too much from {threshold:.1f})",
        remedy="a lower gamma (D_loss.r1_gamma, D_loss.gamma)",
        applies=lambda facts: facts.r1_gamma > 0,
    ),
    Check(
        "R1 too weak",
        _unbounded,
        begin=1.5,
        end=1.0,
        sentence="next to nothing bounds D's gradients: it scores real images {value:.1f} above "
        "generated ones (too much from {threshold:.1f})",
        remedy="D_loss.func_name=D_logistic_r1, or a higher gamma",
        applies=lambda facts: facts.loss != "wgan" and (facts.r1_gamma > 0 or not facts.penalised),
    ),
    Check(
        "steps too large",
        _step,
        begin=0.01,
        end=0.007,
        sentence="each step changes the weights by {value:.1%} of their size (too much from "
        "{threshold:.1%})",
        remedy="lower schedule.G_lrate_base and D_lrate_base",
    ),
    Check(
        "not moving",
        _still,
        begin=1e-6,
        end=1e-5,
        sentence="a network stands still: its steps change the weights by {value:.1g} of their "
        "size (too little below {threshold:.0g})",
        remedy="higher schedule.G_lrate_base and D_lrate_base, or --precision=float32",
    ),
    Check(
        "stalled",
        _standstill,
        begin=0.3,
        end=0.2,
        sentence="learning has stalled: generated images are {value:.2f} from real ones, a share "
        "of how far these are apart (too far from {threshold:.2f}), and came no nearer lately",
        remedy="higher schedule.G_lrate_base, or a gamma of another size; a run that is as good as "
        "it gets is nearer",
    ),
    Check(
        "D wins",
        _victory,
        begin=0.98,
        end=0.9,
        sentence="D wins: it tells {value:.0%} of training and of generated images (too many from "
        "{threshold:.0%})",
        remedy="a higher r1_gamma, a lower D_lrate_base, --augment=bgc, or more images",
        applies=lambda facts: facts.loss != "wgan",
    ),
    Check(
        "D is sure",
        _r,
        begin=0.97,
        end=0.85,
        sentence="D is sure of the training images: r, the mean sign of its scores, is {value:.2f} "
        "(too much from {threshold:.2f})",
        remedy="look for copies in what is generated; more images, or --augment=bgc (or a lower "
        "augment.target)",
        applies=lambda facts: facts.loss != "wgan",
    ),
    Check(
        "scores run away",
        _scores,
        begin=50.0,
        end=20.0,
        sentence="D's scores run away, to {value:.0f} (too far from {threshold:.0f}): losses are "
        "saturated, and G learns nothing",
        remedy=_GO_BACK,
        applies=lambda facts: facts.loss != "wgan",
    ),
    Check(
        "skipped steps",
        _skipped,
        begin=0.2,
        end=0.05,
        sentence="{value:.0%} of the steps were skipped: their gradients were infinite or NaN (too "
        "many from {threshold:.0%})",
        remedy="lower schedule.G_lrate_base and D_lrate_base, or --precision=float32",
    ),
)
