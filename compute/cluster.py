"""This process's part among several machines, as TF_CONFIG tells it; no TensorFlow here."""

from __future__ import annotations

import dataclasses
import os

from dnnlib import json_files
from dnnlib.errors import UserError


@dataclasses.dataclass(frozen=True)
class Cluster:
    num_workers: int = 1  # processes that train together, the chief included
    index: int = 0  # this one's number among them; the chief is number 0

    @property
    def is_chief(self) -> bool:
        """Whether this is the one process that writes."""
        return self.index == 0


def read_cluster() -> Cluster:
    """Reads the environment variable TF_CONFIG; UserError when it cannot be understood."""
    text = os.environ.get("TF_CONFIG")
    if not text:
        return Cluster()
    try:
        values = json_files.parse(text)
        cluster, task = values.get("cluster", {}), values.get("task", {})
        chiefs, workers = len(cluster.get("chief", [])), len(cluster.get("worker", []))
        kind, index = task.get("type", "worker"), int(task.get("index", 0))
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"the environment variable TF_CONFIG cannot be understood: {error}"
        ) from error
    before = {"chief": 0, "worker": chiefs}.get(kind, chiefs + workers)  # evaluators come last
    return Cluster(max(chiefs + workers, 1), before + index)
