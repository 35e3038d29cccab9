"""Does a generator copy its training images? Nearest neighbours, against those of real images.

As Meehan et al. 2020 ("A non-parametric test to detect data-copying in generative models"): what
distances are small, real images that were not trained on tell.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Optional

import numpy as np

from dnnlib.progress import Progress
from metrics import copy_rate, neighbours
from metrics.declaration import Metric, Reals, metric

if TYPE_CHECKING:
    from metrics.evaluation import Evaluation

CANDIDATES = 16  # nearest training images at 8×8, of which the nearest at 32×32 is taken
MOST_CALIBRATING = 10_000  # real images; more tell the threshold no better
TWICE = 0.05  # of the median distance: reals nearer than that are in the data set twice
PAIRS = 24  # in the picture
_OF_ONE = 2  # of them, of the same training image
_COLUMNS = 4  # pairs, in a row of it
_CHUNK = 1024  # features of training images at once
_COMPARED = 128  # images whose candidates are compared at once
_PARTS = ("rate", "low", "high")


@metric(
    title="share of images that copy a training image",
    families={"copies": {}},
    count=10_000,
    least=copy_rate.LEAST,
    samples="fakes",
    parts=_PARTS,
    any_network=("vgg16_places", "inception", "pixels"),
    reals=Reals(trained=True, least=copy_rate.LEAST),
    method=f"nearer than {copy_rate.QUANTILE:.0%} of reals, 95% interval",
)
def copies(evaluation: Evaluation, metric: Metric) -> dict[str, float]:
    """{'rate': …, 'low': …, 'high': …}: the share of generated images that are nearer to a training
    image than all but a hundredth of real images are, less what chance makes so; and its 95 %
    confidence interval.

    The real images are those that the run has not seen, of a run with a subset; else each training
    image among the others. evaluation.details gets the threshold and the closest pairs,
    evaluation.picture these, evaluation.remarks a sentence.
    """
    network = evaluation.feature_network(metric)
    trained, others = evaluation.trained_numbers, evaluation.other_numbers
    held_out = len(others) >= copy_rate.LEAST
    calibrating = _some(others if held_out else np.arange(len(trained)))
    asked = calibrating if held_out else trained[calibrating]
    fakes = _together(evaluation.fake_features(network, metric))
    reals = _together(evaluation.numbered_reals(network, asked))
    asking = [Asked(fakes), Asked(reals, own=None if held_out else calibrating)]
    (distances, places), (real_distances, _) = nearest(evaluation, network, asking)
    alone = without_copies(real_distances)
    result = copy_rate.copy_rate(distances, alone)
    pairs = [(fake, int(trained[places[fake]])) for fake in _closest(distances, places)]
    evaluation.details.update(
        features=network,
        calibration="held-out reals" if held_out else "each real among the others",
        **{key: value for key, value in dataclasses.asdict(result).items() if key not in _PARTS},
        left_out_as_copies=len(real_distances) - len(alone),
        median=float(np.median(distances)),
        median_of_reals=float(np.median(real_distances)),
        closest=[
            {"fake": fake, "real": real, "distance": float(distances[fake])} for fake, real in pairs
        ],
    )
    evaluation.picture = _picture(evaluation, pairs)
    evaluation.remarks.append(_remark(result, held_out))
    return {part: getattr(result, part) for part in _PARTS}


def without_copies(real_distances: np.ndarray) -> np.ndarray:
    """Without those of reals that are in the data set twice: they tell nothing of others."""
    alone = real_distances >= TWICE * np.median(real_distances)
    return real_distances[alone] if alone.sum() >= copy_rate.LEAST else real_distances


def _closest(distances: np.ndarray, places: np.ndarray) -> list[int]:
    """The numbers of the fakes that are shown: the closest, a few of each training image."""
    shown: list[int] = []
    times: collections.Counter = collections.Counter()
    for fake in np.argsort(distances, kind="stable").tolist():
        times[places[fake]] += 1
        if times[places[fake]] <= _OF_ONE:
            shown.append(fake)
        if len(shown) == PAIRS:
            break
    return shown


def _some(numbers: np.ndarray) -> np.ndarray:
    """Of numbers, as many as calibrate, evenly spread."""
    if len(numbers) <= MOST_CALIBRATING:
        return numbers
    return numbers[np.linspace(0, len(numbers) - 1, MOST_CALIBRATING).astype(np.int64)]


def _together(parts: Iterator[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(parts))


@dataclasses.dataclass
class Asked:
    """Images whose nearest training image is wanted. own: as of `neighbours.Nearest`."""

    features: np.ndarray
    own: Optional[np.ndarray] = None


def nearest(
    evaluation: Evaluation, network: str, asked: list[Asked]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(distances [N], places [N] among the training images) of the nearest, of each.

    Mirrored training images count, too, where training mirrors them. Of pixels the nearest at 8×8
    are looked at again, at 32×32 and moved by up to a pixel.
    """
    from metrics.features import pixels

    shape = evaluation.Gs.resolution, evaluation.Gs.num_channels
    by_pixels = network == "pixels"

    def looked_at(features: np.ndarray) -> np.ndarray:
        return pixels.coarse(features, *shape) if by_pixels else features

    kept = CANDIDATES if by_pixels else 1
    searches = [neighbours.Nearest(looked_at(one.features), kept, one.own) for one in asked]
    turns = (False, True) if evaluation.settings.mirror else (False,)
    trained = evaluation.trained_numbers
    streams = [evaluation.numbered_reals(network, trained, turn) for turn in turns]
    start = 0
    for views in _chunks(zip(*streams)):
        for search in searches:
            search.add(start, *map(looked_at, views))
        start += len(views[0])
    if not by_pixels:
        return [(np.sqrt(one.squares[:, 0]), one.numbers[:, 0]) for one in searches]
    results = []
    for one, search in zip(asked, searches):
        squares = _moved(evaluation, one.features, search.numbers)
        best = squares.argmin(axis=1)[:, None]
        least, places = (np.take_along_axis(a, best, 1)[:, 0] for a in (squares, search.numbers))
        results.append((np.sqrt(least), places))
    return results


def _chunks(parts: Iterator[tuple[np.ndarray, ...]]) -> Iterator[list[np.ndarray]]:
    """Some thousand features at once, of parts of a few."""
    waiting: list[tuple[np.ndarray, ...]] = []
    for part in parts:
        waiting.append(part)
        if sum(len(views[0]) for views in waiting) >= _CHUNK:
            yield [np.concatenate(views) for views in zip(*waiting)]
            waiting = []
    if waiting:
        yield [np.concatenate(views) for views in zip(*waiting)]


def _moved(evaluation: Evaluation, features: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Squared distances [N, K] to candidates [N, K], -1: none, that are moved by up to a pixel."""
    from metrics.features import pixels

    reals, trained = evaluation.reals, evaluation.trained_numbers
    lod = max(reals.info.resolution.bit_length() - pixels.LARGEST.bit_length(), 0)
    squares = np.full(places.shape, np.inf)
    replica_map = evaluation.tools.replica_map
    with Progress(len(places), "nearest images", replica_map.progress) as progress:
        for start in range(0, len(places), _COMPARED):
            chosen, part = places[start : start + _COMPARED], squares[start : start + _COMPARED]
            rows, columns = np.nonzero(chosen >= 0)
            images = reals.read(trained[chosen[rows, columns]], lod)[0]
            for view in (images, images[:, :, ::-1]) if evaluation.settings.mirror else (images,):
                apart = pixels.moved_squares(features[start + rows], view)
                part[rows, columns] = np.minimum(part[rows, columns], apart)
            progress.update(len(chosen))
            replica_map.check_stop()
    return squares


def _picture(evaluation: Evaluation, pairs: list[tuple[int, int]]) -> np.ndarray:
    """The closest pairs, generated images on the left, their training images on the right."""
    from datasets.grids import create_image_grid

    fakes = evaluation.images(np.array([fake for fake, _ in pairs]))
    reals = evaluation.reals.read(np.array([real for _, real in pairs]))[0]
    cells = np.stack([fakes, reals], axis=1).reshape(-1, *fakes.shape[1:])
    columns = min(_COLUMNS, len(pairs))
    return create_image_grid(cells, (2 * columns, -(-len(pairs) // columns)))


def _remark(result: copy_rate.CopyRate, held_out: bool) -> str:
    as_near = f"{result.nearer:,} of {result.images:,} generated images are as near to a training "
    as_near += f"image as {result.expected:.1%} of "
    as_near += "held-out real images" if held_out else "training images are to another one"
    if result.copies:
        return f"It copies: {as_near}. The picture of the closest pairs shows what."
    return f"No sign of copies: {as_near}."
