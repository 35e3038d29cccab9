"""Minibatches that no memory holds, found before a run is made; a lower bound, nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from dnnlib.errors import UserError
from networks.options import feature_maps

_MOST_GPU_BYTES = 2**40  # more than any GPU has: which one it will be is not known
_GIB = 2**30


def check(
    key: str,
    images: int,
    D: Mapping[str, Any],
    resolution: int,
    gpus: int,
    main_memory: Optional[int],
) -> None:
    """Raises UserError, naming the setting `key`, when a minibatch fits no memory.

    images: of a minibatch on this machine, over so many `gpus`; 0: on the CPU. D: all options of
    the discriminator. main_memory: bytes; None: not known.

    What must be there is, for each image, its bytes in main memory, and on the device its pixels
    and the first layer's feature maps.
    """
    channels = D["num_channels"]
    itemsize = 4 if D.get("dtype", "float32") == "float32" else 2
    maps = max(feature_maps(D, resolution.bit_length() - 2), 1)
    on_device = images // max(gpus, 1) * resolution**2 * (4 * channels + itemsize * maps)
    in_main = images * resolution**2 * channels + (0 if gpus else on_device)
    for needed, there, place in (
        (in_main, main_memory, "main memory of this machine"),
        (on_device if gpus else 0, _MOST_GPU_BYTES, "memory of any GPU"),
    ):
        if there is not None and needed > there:
            raise UserError(
                f"{key}: a minibatch of {_short(images)} images of {resolution}x{resolution} takes "
                f"{_short(needed // _GIB + 1)} GiB at least, more than the {place}, "
                f"{there / _GIB:,.0f} GiB; lower it"
            )


def _short(number: int) -> str:
    return f"{number:,}" if number < 10**15 else "more than 10^15"
