"""How good are generated digits? Measured with a classifier trained on the real ones.

    python -m benchmarks.digits_quality results/00000-demo/network-final.safetensors

Prints, for images of Gs with truncation off: how many of the ten classes appear (more than 1 %
each), the rarest and the most common one's share, the classifier's mean confidence, the share
of images it is more than 90 % sure of, and the mean distance to the most similar other image
(small where images repeat); the mean distance to the most similar of 1,257 real digits, and what
one image in a hundred is nearer than (small where a network copies); the Fréchet distance to the
real digits; and for a network with labels the share of images that show the digit asked for. The
same figures for the 540 other real images stand beside them. Only for the built-in `digits`; it is
a check on the demo, not a published metric.
"""

from __future__ import annotations

import argparse
import os

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def classifier(resolution: int, seed=0):
    """(classifier, its accuracy on other real digits, the images it was fitted to, the others).

    Images are [N, pixels] in [0, 1]. A network has been trained on both parts.
    """
    from sklearn.model_selection import train_test_split
    from sklearn.svm import SVC

    from datasets.format.reader import inspect, open_dataset

    with open_dataset(inspect("digits", resolution=resolution)) as dataset:
        images, labels = dataset.read(range(dataset.info.num_images))
    known, held_out, known_classes, held_out_classes = train_test_split(
        images.reshape(len(images), -1) / 255,
        labels.argmax(1),
        test_size=0.3,
        random_state=seed,
        stratify=labels.argmax(1),
    )
    model = SVC(C=10, gamma="scale", probability=True, random_state=seed)
    model.fit(known, known_classes)
    return model, model.score(held_out, held_out_classes), known, held_out


def describe(model, images: np.ndarray, wanted: np.ndarray | None = None) -> dict:
    """Figures for images [N, pixels]; wanted: the classes [N] asked for, None without labels."""
    probabilities = model.predict_proba(images)
    shares = np.bincount(probabilities.argmax(1), minlength=10) / len(images)
    apart = distances(images, images)
    np.fill_diagonal(apart, np.inf)
    agreement = {}
    if wanted is not None:
        agreement = {"agreement": float((probabilities.argmax(1) == wanted).mean())}
    return {
        **agreement,
        "classes": int((shares > 0.01).sum()),
        "rarest": float(shares.min()),
        "commonest": float(shares.max()),
        "confidence": float(probabilities.max(1).mean()),
        "sure": float((probabilities.max(1) > 0.9).mean()),
        "nearest": float(apart.min(1).mean()),
        "shares": [round(float(share), 3) for share in shares],
    }


def distances(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Euclidean, [N, M], of images [N, pixels] and others [M, pixels]."""
    squared = (images**2).sum(1)[:, None] + (others**2).sum(1) - 2 * images @ others.T
    return np.sqrt(np.maximum(squared, 0))


def to_known(images: np.ndarray, known: np.ndarray) -> dict:
    """How near images [N, pixels] come to known ones: on average, and the nearest hundredth."""
    nearest = distances(images, known).min(1)
    return {
        "to_known": float(nearest.mean()),
        "to_known_1%": float(np.percentile(nearest, 1)),
    }


def frechet_distance(images: np.ndarray, resolution: int, reals: np.ndarray | None = None) -> float:
    """Between Gaussians fitted to generated and to real digits, as 8x8 pixels in [0, 1].

    reals: [N, pixels] in [0, 1]; None: all 1,797. The formula of FID on pixels instead of
    Inception's features: comparable among digits only.
    """
    from scipy.linalg import sqrtm

    from compute.box_means import box_mean
    from datasets.format.reader import inspect, open_dataset

    if reals is None:
        with open_dataset(inspect("digits", resolution=resolution)) as dataset:
            pixels, _ = dataset.read(range(dataset.info.num_images))
        reals = pixels / 255

    def gaussian(flat):
        small = box_mean(flat.reshape(-1, resolution, resolution), resolution // 8)
        small = small.reshape(-1, 64)
        return small.mean(0), np.cov(small, rowvar=False)

    (mean1, cov1), (mean2, cov2) = gaussian(images), gaussian(reals)
    # Corner pixels hardly vary, so the product is nearly singular: the root is real all the same.
    root = sqrtm(cov1 @ cov2).real
    return float(((mean1 - mean2) ** 2).sum() + np.trace(cov1 + cov2 - 2 * root))


def classes_asked_for(Gs, count: int) -> np.ndarray | None:
    """The classes [count] that `generate` asks for, in turn; None for a network without labels."""
    classes = Gs.options["label_size"]
    return np.arange(count) % classes if classes else None


def generate(Gs, count: int, seed: int) -> np.ndarray:
    """Images with truncation off, [count, pixels] in [0, 1]."""
    rng, batches = np.random.RandomState(seed), []
    wanted = classes_asked_for(Gs, count + 100)
    for start in range(0, count, 100):
        z = rng.randn(100, Gs.options["latent_size"]).astype(np.float32)
        labels = None
        if wanted is not None:
            labels = np.eye(Gs.options["label_size"])[wanted[start : start + 100]]
        batches.append(Gs(z, labels, truncation_psi=None, noise="fixed").numpy())
    images = np.clip(np.concatenate(batches)[:count], -1, 1)
    return images.reshape(count, -1) / 2 + 0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("snapshot")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    import networks

    _, _, Gs = networks.load(args.snapshot)
    model, accuracy, known, held_out = classifier(Gs.resolution)
    print(f"classifier: {accuracy:.1%} of {len(held_out)} held-out real digits right")
    images = generate(Gs, args.count, args.seed)
    wanted = classes_asked_for(Gs, args.count)
    for name, shown, asked in (("real", held_out, None), ("generated", images, wanted)):
        print(f"{name}:")
        figures = {**describe(model, shown, asked), **to_known(shown, known)}
        figures["distance"] = frechet_distance(shown, Gs.resolution)
        for key, value in figures.items():
            print(f"  {key:12s} {value}")


if __name__ == "__main__":
    main()
