"""What the tests of downloads share. Nothing leaves 127.0.0.1."""

import hashlib
import random

import pytest

from dnnlib import download
from dnnlib.errors import UserError

DATA = random.Random(7).randbytes(100_000)
SHA = hashlib.sha256(DATA).hexdigest()


def names(cache):
    """Suffixes of the files in the cache after the file's own name, but for the lock."""
    found = sorted(path.name for path in cache.iterdir() if not path.name.startswith("."))
    return [name.partition(".pkl")[2] for name in found]


def fails(match, *args, **options):
    with pytest.raises(UserError, match=match) as caught:
        download.fetch(*args, **options)
    return str(caught.value)
