"""The networks that were published with the papers, by name. No content hash was published."""

from __future__ import annotations

import dataclasses

_LICENCE = "CC BY-NC 4.0 by NVIDIA"
_CDN = "https://nvlabs-fi-cdn.nvidia.com"
_STYLEGAN2 = f"{_CDN}/stylegan2/networks/"
_SOURCE_CODE = "NVIDIA's Source Code License (non-commercial)"


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a file comes from, its name in the cache, and its licence ("" if unknown)."""

    url: str
    file: str
    licence: str = ""


_STYLEGAN = {
    name: Source(
        f"https://drive.google.com/uc?id={drive_id}",
        f"karras2019stylegan-{long_name}.pkl",
        _LICENCE,
    )
    for name, long_name, drive_id in [
        ("ffhq-1024", "ffhq-1024x1024", "1MEGjdvVpUsu1jB4zrXZN7Y4kBBOzizDQ"),
        ("celebahq-1024", "celebahq-1024x1024", "1MGqJl28pN4t7SAtSrPdSRJSQJqahkzUf"),
        ("bedrooms-256", "bedrooms-256x256", "1MOSKeGF0FJcivpBI7s63V9YHloUTORiF"),
        ("cars-512x384", "cars-512x384", "1MJ6iCfNtMIRicihwRorsM3b7mmtmK9c3"),
        ("cats-256", "cats-256x256", "1MQywl0FNt6lHu8E_EUqnRbviagS7fbiJ"),
    ]
}

_ARCHITECTURES = ("orig", "resnet", "skip")
_OF_TABLE_1 = [
    *(f"stylegan2-{data}-config-{config}" for data in ("ffhq", "car") for config in "abcdef"),
    *(f"stylegan2-{data}-config-{c}" for data in ("cat", "church", "horse") for c in "af"),
]
_OF_TABLE_2 = [
    f"stylegan2-{data}-config-e-G{G}-D{D}"
    for data in ("ffhq", "car")
    for G in _ARCHITECTURES
    for D in _ARCHITECTURES
]

# StyleGAN2-ADA's: the paper's networks, and those that others were trained on from.
_ADA = "ffhq metfaces afhqcat afhqdog afhqwild brecahad cifar10".split()
_ADA_SOURCES = (
    "ffhq-res256-mirror-paper256-noaug",
    "ffhq-res512-mirror-stylegan2-noaug",
    "ffhq-res1024-mirror-stylegan2-noaug",
    "celebahq-res256-mirror-paper256-kimg100000-ada-target0.5",
    "lsundog-res256-paper256-kimg100000-noaug",
)
_ADA_FILES = {
    **{name: f"{name}.pkl" for name in _ADA},
    **{name: f"transfer-learning-source-nets/{name}.pkl" for name in _ADA_SOURCES},
}
_ADA_FOLDERS = {"ada": "stylegan2-ada-pytorch", "ada-tf": "stylegan2-ada"}  # PyTorch's first

KNOWN: dict[str, Source] = {
    **_STYLEGAN,
    **{name: Source(f"{_STYLEGAN2}{name}.pkl", f"{name}.pkl", _LICENCE) for name in _OF_TABLE_1},
    **{
        name: Source(f"{_STYLEGAN2}table2/{name}.pkl", f"{name}.pkl", _LICENCE)
        for name in _OF_TABLE_2
    },
    **{
        f"{start}-{name}": Source(
            f"{_CDN}/{folder}/pretrained/{path}", f"{folder}-{name}.pkl", _SOURCE_CODE
        )
        for start, folder in _ADA_FOLDERS.items()
        for name, path in _ADA_FILES.items()
    },
}
# As StyleGAN2's own scripts were first told: {old name: name}.
OLD_NAMES = {
    f"gdrive:networks/{source.url.removeprefix(_STYLEGAN2)}": name
    for name, source in KNOWN.items()
    if source.url.startswith(_STYLEGAN2)
}


def families() -> str:
    """All names, short enough for messages."""
    architectures = f"{{{','.join(_ARCHITECTURES)}}}"
    return (
        f"{', '.join(_STYLEGAN)}, stylegan2-{{ffhq,car}}-config-{{a,b,c,d,e,f}}, "
        "stylegan2-{cat,church,horse}-config-{a,f}, "
        f"stylegan2-{{ffhq,car}}-config-e-G{architectures}-D{architectures}, "
        f"{{ada,ada-tf}}-{{{','.join(_ADA)}}} (and their source networks)"
    )
