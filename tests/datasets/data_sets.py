"""A small data set for the tests of reading and of checking."""

import numpy as np

from datasets.format.tfrecords import encode_image, frame_record
from datasets.format.writer import MultiResolutionWriter

COUNT = 23


def write_set(directory, with_labels=True):
    """23 random images of 3×16×16; the first label column is the index, the second that mod 3."""
    images = np.random.RandomState(1).randint(0, 256, [COUNT, 3, 16, 16]).astype(np.uint8)
    with MultiResolutionWriter(directory, directory.name) as writer:
        for image in images:
            writer.add_image(image)
        if with_labels:
            index = np.arange(COUNT)
            writer.add_labels(np.stack([index, index % 3, -np.ones(COUNT)], axis=1))
    return directory


def write_file(path, images):
    """A TFRecord file of any uint8 [C, H, W] images."""
    path.write_bytes(b"".join(frame_record(encode_image(image)) for image in images))
