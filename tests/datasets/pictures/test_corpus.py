"""A picture of each kind that is accepted: the same pixels with every version of Pillow.

PNG, JPEG, GIF and 24-bit BMP: equal to what TensorFlow decodes when they were written down.
"""

import base64
import hashlib
import json
import zlib
from pathlib import Path

import pytest

from datasets.decoding import decode

pytestmark = pytest.mark.conformance

# The files' bytes, deflated, in base 85: what Pillow writes differs from version to version.
FILES = json.loads(Path(__file__).with_name("corpus.json").read_text(encoding="ascii"))
PIXELS = {  # mode, size, the beginning of the pixels' SHA-256
    "png gray": ("L", (13, 9), "14a9d8335bcb7a2d"),
    "png gray alpha": ("LA", (13, 9), "10fcb768ca5bd1b7"),
    "png rgb": ("RGB", (13, 9), "480a6c0747c9c3e9"),
    "png rgba": ("RGBA", (13, 9), "f2ccfdee2f277b33"),
    "png palette": ("RGB", (13, 9), "d9b0238018ea17ba"),
    "png transparent palette": ("RGBA", (13, 9), "0b3543a0f4206b58"),
    "png one bit": ("L", (13, 9), "30abefcd162e89eb"),
    "png turned": ("RGB", (9, 13), "57fc75eb0abdcc70"),
    "jpeg": ("RGB", (13, 9), "94a8e0dc4e10ea0f"),
    "jpeg gray": ("L", (13, 9), "cdc99c10209c7201"),
    "jpeg progressive": ("RGB", (13, 9), "94a8e0dc4e10ea0f"),
    "jpeg 4:4:4": ("RGB", (13, 9), "2b26cfd22fd4307b"),
    "jpeg 4:2:2": ("RGB", (13, 9), "b2dfed5cf3bd7222"),
    "jpeg restarts": ("RGB", (13, 9), "94a8e0dc4e10ea0f"),
    "jpeg turned": ("RGB", (9, 13), "d0e62bf1dca60a41"),
    "webp": ("RGB", (13, 9), "37151a2736e3e7bf"),
    "webp alpha": ("RGBA", (13, 9), "fe12cf8e6c1b105f"),
    "webp lossless": ("RGBA", (13, 9), "92e680f0a66d7c94"),
    "gif": ("RGB", (13, 9), "d9b0238018ea17ba"),
    "gif transparent": ("RGBA", (13, 9), "0b3543a0f4206b58"),
    "gif gray": ("RGB", (13, 9), "b1e66506fa995b10"),
    "bmp": ("RGB", (13, 9), "480a6c0747c9c3e9"),
    "bmp palette": ("RGB", (13, 9), "d9b0238018ea17ba"),
    "bmp one bit": ("L", (13, 9), "30abefcd162e89eb"),
    "bmp rgba": ("RGB", (13, 9), "480a6c0747c9c3e9"),
    "tiff": ("RGB", (13, 9), "480a6c0747c9c3e9"),
    "tiff alpha": ("RGBA", (13, 9), "f2ccfdee2f277b33"),
    "tiff gray alpha": ("LA", (13, 9), "10fcb768ca5bd1b7"),
    "tiff palette": ("RGB", (13, 9), "d9b0238018ea17ba"),
    "tiff one bit": ("L", (13, 9), "30abefcd162e89eb"),
    "tiff lzw": ("RGB", (13, 9), "480a6c0747c9c3e9"),
    "tiff deflate": ("L", (13, 9), "14a9d8335bcb7a2d"),
    "tiff packbits": ("L", (13, 9), "14a9d8335bcb7a2d"),
    "tiff jpeg": ("RGB", (13, 9), "5df2a82f4ad9a300"),
}


@pytest.mark.parametrize("name", PIXELS)
def test_pixels(name):
    image = decode(zlib.decompress(base64.b85decode(FILES[name])), name)
    digest = hashlib.sha256(image.tobytes()).hexdigest()[:16]
    assert (image.mode, image.size, digest) == PIXELS[name]


def test_every_picture_is_looked_at():
    assert set(FILES) == set(PIXELS)
