"""What every source of images is to the conversion."""

from __future__ import annotations

from typing import Optional

import numpy as np

from datasets.format.writer import choose_shuffled_order
from dnnlib.errors import UserError


class BadImage(UserError):
    """One image that cannot be used, for a reason that others may have as well.

    where: names the image; reason: what is wrong, with {} for each of `details`, which are this
    image's numbers and texts. The message is both; `kind` is the reason without its details, equal
    for all images with the same fault.
    `--skip_bad` leaves such images out; any other UserError ends the conversion.
    """

    def __init__(self, where: str, reason: str, *details: object) -> None:
        plain = [part if isinstance(part, (int, float)) else str(part) for part in details]
        super().__init__(where, reason, *plain)  # from which another process makes it again
        self.where, self.explanation = where, reason.format(*plain)
        self.kind = reason.format(*("…" if isinstance(part, str) else "N" for part in plain))

    def __str__(self) -> str:
        return f"{self.where}: {self.explanation}"


class TooSmall(BadImage):
    """An image that the format's own rule passes over: always left out, and counted."""


class Source:
    """Images by number, [0, len), all of one shape: for worker processes, so it can be pickled
    and opens its files at first use in each process.

    name: what messages call it; resolution, channels: of all images (a source that has
    to look at images for that does so when it is made, at a few of them); labels: float32
    [len, K] in the order of the numbers, or None; shuffled: whether the set is written in the
    reference's shuffled order (`choose_shuffled_order`), or as it comes. Making one raises
    UserError, one line naming the file, when the source as a whole is not usable.
    """

    name: str
    resolution: int
    channels: int
    labels: Optional[np.ndarray] = None
    shuffled: bool = True

    def __len__(self) -> int:
        """How many images there are, the bad ones included."""
        raise NotImplementedError

    def open(self) -> None:
        """Opens the source's files in this process; called once in each worker before the first
        read. Raises UserError."""

    def read(self, number: int) -> np.ndarray:
        """uint8 [channels, resolution, resolution]. Raises BadImage, or UserError for damage
        that concerns more than this image."""
        raise NotImplementedError

    def describe(self, number: int) -> str:
        """Where an image comes from, for reports: a file name, or 'image 17 of train-images'."""
        return f"image {number} of {self.name}"

    def order(self) -> np.ndarray:
        """The numbers in the order in which to write: int64 [len]."""
        count = len(self)
        return choose_shuffled_order(count) if self.shuffled else np.arange(count, dtype=np.int64)
