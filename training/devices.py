"""Which devices train together: one, several (Mirrored), or several machines' (TF_CONFIG)."""

from __future__ import annotations

import json
import os
import sys

import tensorflow as tf

from dnnlib.errors import UserError


def make_strategy(num_gpus: int = 0) -> tf.distribute.Strategy:
    """The strategy for this machine; must come before anything else touches a device.

    num_gpus: on each machine; 0: all there are, or the CPU. Several machines train together
    when the environment variable TF_CONFIG names more than one worker.
    Raises UserError when fewer GPUs are there, or TF_CONFIG is not usable.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if num_gpus > len(gpus):
        hint = "lower it" if gpus else "0 trains on the CPU"
        raise UserError(f"num_gpus={num_gpus}, but TensorFlow sees {len(gpus)} GPU(s); {hint}")
    if num_gpus:
        gpus = gpus[:num_gpus]
        tf.config.set_visible_devices(gpus, "GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if _num_workers() > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(gpus) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.OneDeviceStrategy("/gpu:0" if gpus else "/cpu:0")


def silence_xla() -> None:
    """Makes XLA's one-time notice now, where nobody sees it.

    XLA says on stderr that it compiled something, the first time that it does, whatever
    TF_CPP_MIN_LOG_LEVEL says. Nothing is hidden from those who set it to 0.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "0") == "0":
        return
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with tf.device("/cpu:0"):
            tf.function(lambda x: x + 1, jit_compile=True)(tf.constant(0.0))
    except tf.errors.OpError:
        pass  # no XLA here: then there will be no notice either
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _num_workers() -> int:
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return 1
    try:
        cluster = json.loads(text).get("cluster", {})
        return sum(len(cluster.get(job, [])) for job in ("chief", "worker"))
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"the environment variable TF_CONFIG is not valid: {error}") from error


class Replicas:
    """The replicas of a strategy, and which of them live in this process."""

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.total = strategy.num_replicas_in_sync
        resolver = strategy.cluster_resolver
        several = resolver is not None and resolver.task_type in ("chief", "worker")
        self.num_workers = _num_workers() if several else 1
        self.local = self.total // self.num_workers
        self.kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        self.first = 0  # number of this process's first replica
        self.is_chief = True  # the one process that writes
        if self.num_workers > 1:
            has_chief = "chief" in json.loads(os.environ["TF_CONFIG"])["cluster"]
            index = resolver.task_id + (has_chief and resolver.task_type == "worker")
            self.first, self.is_chief = index * self.local, index == 0
            self._any = tf.function(self._any_replica, autograph=False)

    def distribute(self, values: list):
        """One tensor per local replica, as the argument of a step."""
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: values[context.replica_id_in_sync_group - self.first]
        )

    def any(self, flag: bool) -> bool:
        """Whether `flag` is true in any process; all processes get the same answer."""
        if self.num_workers == 1:
            return flag
        return bool(self._any(tf.constant(float(flag))) > 0)

    def _any_replica(self, flag):
        def reduce(flag):
            context = tf.distribute.get_replica_context()
            # A tensor of this replica's device; a captured one has no device to reduce on.
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(flag))

        result = self.strategy.run(reduce, (flag,))
        return self.strategy.experimental_local_results(result)[0]
