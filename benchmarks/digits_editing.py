"""Do pictures come back, and do directions do what they say? On networks of the digits.

    python -m benchmarks.digits_editing results/00000-demo/network-final.safetensors \\
        --directions=directions/directions.safetensors --judges_subset=900

Projects images that the network made and real ones (with `--subset=N`, of a run with that subset,
those that it has never seen), and asks a support vector machine whether the digit is the same. Then
moves images along every direction, with the machine as the judge of `closed-loop` (0, 6, 8, 9).
With `--judges_subset=N` it has learned from those digits alone that classifiers of
`run_training.py --preset=classifier --subset=N`, which gave the directions, have not seen.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CLOSED = (0, 6, 8, 9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("--directions", help="a file of run_generator.py directions")
    parser.add_argument("--count", type=int, default=100, help="pictures of each kind")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--subset", type=int, help="of the run: real digits are those left out")
    parser.add_argument("--judges_subset", type=int, help="of the directions' classifiers")
    parser.add_argument("--minibatch", type=int, default=20)
    args = parser.parse_args()

    from networks import snapshot
    from networks.sampling import Sampler

    sampler = Sampler(snapshot.load_generator(args.network), psi=None)
    judge = make_judge(sampler.resolution, args.judges_subset)
    _pictures_that_come_back(args, sampler, judge)
    if args.directions:
        _directions(args.directions, sampler, judge)


def _pictures_that_come_back(args, sampler, judge) -> None:
    from editing import distances, projection
    from generation import latents

    z = latents.from_seeds(range(args.count), sampler.latent_size)
    labels = latents.labels_for(range(args.count), sampler.label_size, None)
    made = sampler.images(sampler.codes(z, labels))
    real = left_out(sampler.resolution, args.subset)[0][: args.count]
    for title, pixels in (("generated", made), ("real", real)):
        start_labels = None
        if sampler.label_size:
            nearest = projection.nearest_classes(sampler, pixels)
            start_labels = np.eye(sampler.label_size, dtype=np.float32)[nearest]
        for space in ("w", "w+"):
            start = time.process_time(), time.monotonic()
            found = projection.project(
                sampler.Gs,
                pixels,
                distances.PixelScales(),
                steps=args.steps,
                space=space,
                labels=start_labels,
                minibatch=args.minibatch,
            )
            seconds = time.process_time() - start[0], time.monotonic() - start[1]
            images = sampler.images(found.w, noise_images=found.noise)
            error = np.sqrt(np.square((np.float32(images) - pixels) / 255).mean(axis=(1, 2, 3)))
            same = _digits(judge, images) == _digits(judge, pixels)
            print(
                f"{title}, {space}: the same digit {same.mean():.0%}; pixels differ by "
                f"{error.mean():.3f} of their range (root mean square), the worst by "
                f"{error.max():.3f}; {seconds[0] / len(pixels):.1f} s of processor time a picture, "
                f"{seconds[1] / len(pixels):.1f} s"
            )


def _directions(path: str, sampler, judge) -> None:
    from editing import directions as ways
    from generation import directions as saved

    sample = ways.draw(sampler.Gs, 500, seed=11)
    codes = np.broadcast_to(np.float32(sample.w[:, None]), [500, *sampler.w_shape])
    named = saved.read(path, sampler.w_shape)
    named += ways.random(sample, (0, sampler.num_layers), 3)
    for direction in named:
        shares = []
        for amount in range(-3, 4):
            digits = _digits(judge, sampler.images(direction.move(codes, amount)))
            shares.append(np.isin(digits, CLOSED).mean())
        text = " ".join(f"{share:4.0%}" for share in shares)
        print(f"{direction.name:32s} closed loops at -3 … +3: {text}")


def make_judge(resolution: int, subset: int | None):
    """A support vector machine of the digits outside a subset; says how good it is."""
    from sklearn.model_selection import train_test_split
    from sklearn.svm import SVC

    images, classes = left_out(resolution, subset)
    flat = images.reshape(len(images), -1) / 255
    known, others, known_classes, other_classes = train_test_split(
        flat, classes, test_size=0.2, random_state=0, stratify=classes
    )
    judge = SVC(C=10, gamma="scale", random_state=0).fit(known, known_classes)
    print(
        f"The judge, of {len(known)} digits, is right on {judge.score(others, other_classes):.1%}."
    )
    return judge


def left_out(resolution: int, subset: int | None) -> tuple[np.ndarray, np.ndarray]:
    """(uint8 [N, R, R, 1], classes [N]) of the digits without those of a run's subset."""
    from datasets.format.reader import inspect, open_dataset

    with open_dataset(inspect("digits", resolution=resolution)) as dataset:
        images, labels = dataset.read(range(dataset.info.num_images))
    if subset is not None:
        chosen = inspect("digits", resolution=resolution, subset=subset).subset.indices(subset)
        images, labels = np.delete(images, chosen, axis=0), np.delete(labels, chosen, axis=0)
    return images.reshape(-1, resolution, resolution, 1), labels.argmax(1)


def _digits(judge, images: np.ndarray) -> np.ndarray:
    return judge.predict(images.reshape(len(images), -1) / 255)


if __name__ == "__main__":
    main()
