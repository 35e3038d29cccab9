"""How good are generated digits? Measured with a classifier trained on the real ones.

    python -m benchmarks.digits_quality results/00000-demo/network-final.safetensors

Prints, for images of Gs with truncation off: how many of the ten classes appear (more than 1 %
each), the rarest and the most common one's share, the classifier's mean confidence, the share
of images it is more than 90 % sure of, and the mean distance to the most similar other image
(small where images repeat). The same figures for real images stand beside them. Only for the
built-in `digits`; it is a check on the demo, not a published metric.
"""

from __future__ import annotations

import argparse
import os

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def classifier(resolution: int, seed=0):
    """(fitted classifier, its accuracy on held-out real digits, held-out images [N, pixels])."""
    from sklearn.model_selection import train_test_split
    from sklearn.svm import SVC

    from training.dataset import inspect, open_dataset

    with open_dataset(inspect("digits", resolution=resolution)) as dataset:
        images, labels = dataset.read(range(dataset.info.num_images))
    known, held_out, known_classes, held_out_classes = train_test_split(
        images.reshape(len(images), -1) / 255, labels.argmax(1), test_size=0.3,
        random_state=seed, stratify=labels.argmax(1),
    )  # fmt: skip
    model = SVC(C=10, gamma="scale", probability=True, random_state=seed)
    model.fit(known, known_classes)
    return model, model.score(held_out, held_out_classes), held_out


def describe(model, images: np.ndarray) -> dict:
    probabilities = model.predict_proba(images)
    shares = np.bincount(probabilities.argmax(1), minlength=10) / len(images)
    squared = (images**2).sum(1)
    distances = squared[:, None] + squared[None] - 2 * images @ images.T
    np.fill_diagonal(distances, np.inf)
    return {
        "classes": int((shares > 0.01).sum()),
        "rarest": float(shares.min()),
        "commonest": float(shares.max()),
        "confidence": float(probabilities.max(1).mean()),
        "sure": float((probabilities.max(1) > 0.9).mean()),
        "nearest": float(np.sqrt(np.maximum(distances.min(1), 0)).mean()),
        "shares": [round(float(share), 3) for share in shares],
    }


def generate(Gs, count: int, seed: int) -> np.ndarray:
    """Images with truncation off, [count, pixels] in [0, 1]; labels, if any, in equal parts."""
    rng = np.random.RandomState(seed)
    classes, batches = Gs.options["label_size"], []
    for start in range(0, count, 100):
        z = rng.randn(100, Gs.options["latent_size"]).astype(np.float32)
        labels = np.eye(classes)[(start + np.arange(100)) % classes] if classes else None
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
    model, accuracy, held_out = classifier(Gs.resolution)
    print(f"classifier: {accuracy:.1%} of {len(held_out)} held-out real digits right")
    for name, images in (
        ("real", held_out),
        ("generated", generate(Gs, args.count, args.seed)),
    ):
        print(f"{name}:")
        for key, value in describe(model, images).items():
            print(f"  {key:12s} {value}")


if __name__ == "__main__":
    main()
