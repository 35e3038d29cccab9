"""Precision and recall: the original's, all distances at once, and ties."""

import numpy as np
import pytest

from metrics import neighbours
from tests import golden


@pytest.fixture(scope="module")
def recorded():
    return golden.load("ada/metrics3/metrics3.npz")


@pytest.fixture(params=[2048, 64, 7])
def tile(request, monkeypatch):
    monkeypatch.setattr(neighbours, "TILE", request.param)
    return request.param


def at_once(reals, fakes, k):
    """Of all differences in float64."""

    def squares(x, y):
        return np.square(np.float64(x)[:, None] - y).sum(axis=-1)

    def near(points, centres):
        radii = np.sort(squares(centres, centres), axis=1)[:, k]
        return (squares(points, centres) <= radii).any(axis=1).mean()

    return near(fakes, reals), near(reals, fakes)


@pytest.mark.parametrize("case", "abc")
def test_golden(recorded, case, tile):
    real, fake, k = (recorded[f"pr/{case}_{name}"] for name in ("real", "fake", "k"))
    expected = recorded[f"pr/{case}_float64"]
    assert neighbours.precision_and_recall(real, fake, int(k)) == tuple(expected)
    # The original's form with float16 replaced, and what rounding to float16 costs.
    np.testing.assert_allclose(recorded[f"pr/{case}_original_float32"], expected, atol=1e-9)
    np.testing.assert_allclose(recorded[f"pr/{case}_half_emulated"], expected, atol=0.013)


@pytest.mark.parametrize("case", [0, 1])
def test_golden_of_stylegan2(case):
    """Its radii and hits are those of squared distances in float16."""
    recorded = golden.load("stylegan2/misc2/metrics2.npz")
    real, fake, k = recorded["pr/real"], recorded["pr/fake"], int(recorded["pr/k"][case])
    for points, name in ((real, "real"), (fake, "fake")):
        expected = recorded[f"pr/{name}_radii"][:, case]
        np.testing.assert_allclose(neighbours.squared_radii(points, k), expected, rtol=5e-3)
    computed = neighbours.precision_and_recall(real, fake, k)
    assert computed == tuple(recorded[f"pr/{name}"][case] for name in ("precision", "recall"))


@pytest.mark.parametrize(("reals", "fakes", "k"), [(150, 90, 3), (4, 200, 3), (31, 5, 1)])
def test_all_distances_at_once(tile, reals, fakes, k):
    rng = np.random.RandomState(reals)
    real, fake = rng.randn(reals, 6), rng.randn(fakes, 6) + 0.5
    real, fake = np.float32(real), np.float32(fake)
    assert neighbours.precision_and_recall(real, fake, k) == at_once(real, fake, k)


def test_ties_and_duplicates(tile):
    """Few values, so that most distances occur often and many points are the same: far from zero,
    where a matrix product alone is wrong about them."""
    rng = np.random.RandomState(3)
    real = np.float32(rng.randint(0, 4, [60, 4]) * 0.1 + 100)
    fake = np.float32(rng.randint(1, 5, [90, 4]) * 0.1 + 100)
    computed = neighbours.precision_and_recall(real, fake, 3)
    assert computed == at_once(real, fake, 3)
    assert 0.1 < computed[0] < 0.9
    assert computed[1] > 0.1


def test_exactly_as_far_is_near(tile):
    """Pairs of reals with a fake on the other side of each, whose distance is the radius; and one
    that is farther by the last bit of one coordinate. Of coordinates whose products sum up only
    with rounding."""
    rng, grid = np.random.RandomState(0), 2.0**-10
    first = rng.randint(2**22, 2**23, [40, 2048]) * grid
    step = rng.randint(1, 2**10, [40, 2048]) * grid
    reals = np.float32(np.concatenate([first, first + step]))
    assert neighbours.precision_and_recall(reals, np.float32(first - step), 1)[0] == 1
    farther = first - step
    farther[:, 7] -= grid
    assert neighbours.precision_and_recall(reals, np.float32(farther), 1)[0] == 0


def test_points_that_are_all_the_same(tile):
    """Radii of 0: only equal ones are near, also by the last bit."""
    same = np.full([40, 33], 0.1, np.float32)
    assert neighbours.precision_and_recall(same, same[:9], 3) == (1, 1)
    other = same.copy()
    other[:, 5] = np.nextafter(np.float32(0.1), np.float32(1))
    assert neighbours.precision_and_recall(same, other, 3) == (0, 0)


def test_progress(tile):
    points, calls = np.float32(np.random.RandomState(0).randn(100, 3)), []
    neighbours.precision_and_recall(points, points[:30], 3, lambda: calls.append(1))
    assert len(calls) == neighbours.number_of_tiles(100, 30)
