"""How good are generated digits? Measured with a classifier trained on the real ones.

    python -m benchmarks.digits_quality results/00000-demo/network-final.safetensors

Prints, for images of Gs with truncation off: how many of the ten classes appear, the rarest
and the most common class's share, the classifier's mean confidence, and how many images are
near copies of another generated one. The same figures for real images stand beside them.
Only for the built-in `digits`; it is a check on the demo, not a published metric.
"""

from __future__ import annotations

import argparse
import os

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def classifier(seed=0):
    """(fitted classifier of 8×8 images, its accuracy on held-out real digits, held-out images)."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.svm import SVC

    images, classes = load_digits(return_X_y=True)
    known, rest, known_classes, rest_classes = train_test_split(
        images / 16, classes, test_size=0.3, random_state=seed, stratify=classes
    )
    model = SVC(C=10, gamma="scale", probability=True, random_state=seed)
    model.fit(known, known_classes)
    return model, model.score(rest, rest_classes), rest


def to_8x8(images: np.ndarray) -> np.ndarray:
    """Generated images [N, R, R, 1] in [−1, 1] → the source's 8×8 in [0, 1], [N, 64].

    The built-in set draws the 8×8 source into the middle 28/32 of the frame.
    """
    from PIL import Image

    side = images.shape[1]
    margin = side / 16
    box = (margin, margin, side - margin, side - margin)
    small = [
        Image.fromarray(image[:, :, 0]).resize((8, 8), Image.Resampling.BOX, box)
        for image in np.clip(images, -1, 1).astype(np.float32)
    ]
    return (np.stack(small).reshape(len(images), 64) + 1) / 2


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
        # Real digits are this close to another one in one case of a hundred.
        "nearest": float(np.sqrt(np.maximum(distances.min(1), 0)).mean()),
        "shares": [round(float(share), 3) for share in shares],
    }


def generate(path: str, count: int, seed: int) -> np.ndarray:
    import networks

    _, _, Gs = networks.load(path)
    rng = np.random.RandomState(seed)
    batches = []
    for _ in range(0, count, 100):
        z = rng.randn(100, Gs.options["latent_size"]).astype(np.float32)
        labels = np.eye(max(Gs.options["label_size"], 1))[rng.randint(0, 10, 100) % max(Gs.options["label_size"], 1)]
        labels = labels if Gs.options["label_size"] else None
        batches.append(Gs(z, labels, truncation_psi=None, noise="fixed").numpy())
    return np.concatenate(batches)[:count]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("snapshot")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    model, accuracy, held_out = classifier()
    print(f"classifier: {accuracy:.1%} of held-out real digits right")
    print("real      ", describe(model, held_out))
    print("generated ", describe(model, to_8x8(generate(args.snapshot, args.count, args.seed))))


if __name__ == "__main__":
    main()
