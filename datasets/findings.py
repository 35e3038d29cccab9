"""What a check of a data set finds: in numbers, what it means, and what helps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from datasets import image_faults

EXAMPLES = 10  # of images and groups that lines name

# What findings mean and what helps, by their kinds.
MEANING = {
    "exact_copies": (
        "Training sees these pictures more often than others, and D learns them by heart first.",
        "Keep one of each: `extract` writes files with these numbers; delete, and convert again.",
    ),
    "near_copies": (
        "As exact copies: the same picture, moved by a pixel, brighter, or compressed again.",
        "Look at some (--out=FILE.png shows them), and keep one of each, as with exact copies.",
    ),
    "mirrored_copies": (
        "The same picture, mirrored. With mirror_augment these are copies; without it they do what "
        "it does.",
        "Keep one of each, and train with --set dataset.mirror_augment=True if left and right may "
        "be exchanged.",
    ),
    "constant": (
        "One colour and nothing else: a failed scan, a black frame, an empty page.",
        "Leave them out, unless such pictures are wanted: networks make them as often.",
    ),
    "faint": (
        f"Next to no contrast: a standard deviation below {image_faults.FAINT:g} of 255 levels.",
        "Look at them; leave them out, or convert from a source with more contrast.",
    ),
    "bars": (
        "Uniform bars at the border, of letterboxes or scans: networks learn them as a part of the "
        "picture.",
        "Crop: `create_from_images --crop=center`, or cut the bars off beforehand.",
    ),
    "bars_everywhere": (
        "Uniform bars at the border of nearly all images: they cost time, and are learnt soon.",
        "Nothing, if they are meant, as those of create_lsun_wide are; else crop.",
    ),
    "enlarged": (
        "No detail finer than that: these were smaller and have been enlarged, or are blurred. "
        "Networks learn the blur, and sharp images beside it give D something to tell them by.",
        "Convert from larger originals, leave these out, or train at that resolution.",
    ),
    "empty_classes": (
        "Labels have columns that no image is of: such a class is never trained.",
        "Write labels without them.",
    ),
    "imbalance": (
        "Classes are drawn as often as they have images; small ones are learnt late, or by heart.",
        "Add images to the small classes, join them, or train without labels "
        "(--set dataset.max_label_size=0).",
    ),
}


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something about the images that one may want to know before training.

    kind: of MEANING. count: images it concerns, or classes. text: what it is, in numbers.
    groups: the images, each by itself or with its copies, by their place in the file.
    """

    kind: str
    count: int
    text: str
    groups: Sequence[Sequence[int]] = ()

    def lines(self) -> list[str]:
        """For people."""
        meaning, remedy = MEANING[self.kind]
        shown = [" = ".join(map(str, group[:EXAMPLES])) for group in self.groups[:EXAMPLES]]
        more = ", …" if len(self.groups) > EXAMPLES else ""
        examples = [f"    images {', '.join(shown)}{more}"] if shown else []
        return [f"{self.text}.", *examples, f"    {meaning}", f"    {remedy}"]

    def to_json(self) -> dict[str, Any]:
        meaning, remedy = MEANING[self.kind]
        return {
            "kind": self.kind,
            "count": self.count,
            "text": self.text,
            "meaning": meaning,
            "remedy": remedy,
            "groups": [list(map(int, group)) for group in self.groups],
        }
