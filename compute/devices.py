"""Which devices train together: one, several (Mirrored), or several machines' (TF_CONFIG)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import tensorflow as tf

from compute.cluster import Cluster, read_cluster
from dnnlib import quiet
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
    if read_cluster().num_workers > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(gpus) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.OneDeviceStrategy("/gpu:0" if gpus else "/cpu:0")


# What the operations across machines raise where one of them no longer answers.
_UNANSWERED = (
    *(tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError),
    *(tf.errors.CancelledError, tf.errors.FailedPreconditionError),
    *(tf.errors.InternalError, tf.errors.UnknownError),
)


@contextlib.contextmanager
def lost_peers_explained(remedy: str) -> Iterator[None]:
    """Makes one UserError of what TensorFlow tells when another of several machines is gone.

    remedy: what to do then.
    """
    try:
        yield
    except _UNANSWERED as error:
        cluster = read_cluster()
        if cluster.num_workers == 1:
            raise
        gone = cluster.gone()
        if not (gone or isinstance(error, _UNANSWERED[:3])):
            raise
        lost = f"{' and '.join(gone) or 'another worker'} no longer answer{'s' * (len(gone) < 2)}"
        me = f"worker {cluster.index}"
        raise UserError(f"{me} stops, because {lost}; {remedy}") from error


def silence_xla() -> None:
    """Makes XLA's one-time notice now, where nobody sees it.

    XLA says on stderr that it compiled something, the first time that it does, whatever
    TF_CPP_MIN_LOG_LEVEL says. Nothing is hidden from those who set it to 0.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "0") == "0":
        return
    # An OpError: no XLA here; then there will be no notice either.
    with contextlib.suppress(tf.errors.OpError), quiet.without_stderr(), tf.device("/cpu:0"):
        tf.function(lambda x: x + 1, jit_compile=True)(tf.constant(0.0))


class Replicas:
    """The replicas of a strategy, and which of them live in this process."""

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.total = strategy.num_replicas_in_sync
        several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        cluster = read_cluster() if several else Cluster()
        self.num_workers, self.is_chief = cluster.num_workers, cluster.is_chief
        self.local = self.total // self.num_workers
        self.kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        self.first = cluster.index * self.local  # number of this process's first replica
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


def assign_local(variable: tf.Variable, value: tf.Tensor) -> None:
    """Assigns on this replica alone: all replicas assign equal values, so none is sent."""
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
