"""Adam as TensorFlow 1 computed it, for the reference's training, under any strategy."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from compute.devices import assign_local
from networks.layers import Planned, number, planning

REPLACED = 1e5  # counts for infinity


class Adam(tf.Module):
    """Adam with a complete reset, skipped or replaced overflows, optional dynamic loss scaling.

    variables: {name: tf.Variable}. The rate is lr·sqrt(1−β₂^t)/(1−β₁^t) and ε is added to
    sqrt(v). Called in replica context: gradients are averaged over replicas, and every
    replica then makes the same update of its own copy.

    lazy_ratio: c ≤ 1, the share of the loss in the updates when a regulariser has its own
    (phases.lazy_ratio). With lr·c, β₁^c, β₂^c all of them together go as far and remember as
    long as those of the loss would alone (StyleGAN2, appendix B).
    replace: gradients that are NaN count as 0, and ±inf as ±1e5 (StyleGAN2-ADA), where otherwise
    the update is skipped. Not with loss scaling, which finds its scale by updates that overflow.
    named: {name: tf.Variable} of everything a checkpoint must hold.
    """

    # log2 of the loss scale: at the start, after a good step, after an overflow.
    SCALE_INIT, SCALE_UP, SCALE_DOWN = 64.0, 0.0005, -1.0

    def __init__(
        self,
        variables: dict[str, tf.Variable],
        *,
        beta1: float,
        beta2: float,
        epsilon: float,
        loss_scaling: bool = False,
        lazy_ratio: float = 1.0,
        replace: bool = False,
    ):
        super().__init__()
        self.beta1, self.beta2 = beta1**lazy_ratio, beta2**lazy_ratio
        self.epsilon, self.lazy_ratio = epsilon, lazy_ratio
        self.loss_scaling = loss_scaling
        self.replace = replace and not loss_scaling
        self.variables_by_name = variables
        self.m = {name: _zeros_like(variable) for name, variable in variables.items()}
        self.v = {name: _zeros_like(variable) for name, variable in variables.items()}
        self.beta1_power = number(self.beta1)  # β₁^t
        self.beta2_power = number(self.beta2)
        self.log2_scale = number(self.SCALE_INIT)
        self.named = {
            **{f"m/{name}": variable for name, variable in self.m.items()},
            **{f"v/{name}": variable for name, variable in self.v.items()},
            "beta1_power": self.beta1_power,
            "beta2_power": self.beta2_power,
            "log2_scale": self.log2_scale,
        }

    def reset(self) -> None:
        """Forgets the moments and the step count. The loss scale stays: it is not Adam's."""
        for slot in (*self.m.values(), *self.v.values()):
            slot.assign(tf.zeros(slot.shape))
        self.beta1_power.assign(self.beta1)
        self.beta2_power.assign(self.beta2)

    def scale_loss(self, x: tf.Tensor) -> tf.Tensor:
        return x * tf.pow(2.0, self.log2_scale) if self.loss_scaling else x

    def unscale(self, x: tf.Tensor) -> tf.Tensor:
        return x * tf.pow(2.0, -self.log2_scale) if self.loss_scaling else x

    def apply(
        self, names: list[str], gradients: list[tf.Tensor], learning_rate: tf.Tensor
    ) -> tf.Tensor:
        """Updates variables `names` by gradients of the scaled loss.

        Returns 1.0 when some gradient was not finite, so that the update was skipped, or made with
        others in their place; else 0.0 (a scalar tensor).
        """
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync > 1:
            gradients = replica.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        gradients = [self.unscale(gradient) for gradient in gradients]
        # One pass each. A sum is finite when every value is, short of 1e38; and not multiplied by
        # 0, which the graph optimizer would take for 0.
        sums = tf.stack([tf.reduce_sum(gradient) for gradient in gradients])
        finite = tf.reduce_all(tf.math.is_finite(sums))

        def without() -> Any:
            if not self.replace:
                return tf.no_op()
            return self._update(names, [_replaced(g) for g in gradients], learning_rate)

        tf.cond(finite, lambda: self._update(names, gradients, learning_rate), without)
        if self.loss_scaling:
            change = tf.where(finite, self.SCALE_UP, self.SCALE_DOWN)
            assign_local(self.log2_scale, self.log2_scale + change)
        return 1.0 - tf.cast(finite, tf.float32)

    def _update(self, names, gradients, learning_rate):
        for name, gradient in zip(names, gradients):
            tf.raw_ops.ResourceApplyAdam(
                var=self.variables_by_name[name].handle,
                m=self.m[name].handle,
                v=self.v[name].handle,
                beta1_power=tf.convert_to_tensor(self.beta1_power),
                beta2_power=tf.convert_to_tensor(self.beta2_power),
                lr=learning_rate * self.lazy_ratio,
                beta1=self.beta1,
                beta2=self.beta2,
                epsilon=self.epsilon,
                grad=gradient,
            )
        assign_local(self.beta1_power, self.beta1_power * self.beta1)
        assign_local(self.beta2_power, self.beta2_power * self.beta2)
        return tf.no_op()


def _replaced(gradient: tf.Tensor) -> tf.Tensor:
    """NaN → 0, ±inf → ±1e5, and what is finite as it is."""
    usual = tf.where(tf.math.is_finite(gradient), gradient, tf.zeros_like(gradient))
    return tf.where(tf.math.is_inf(gradient), tf.sign(gradient) * REPLACED, usual)


def _zeros_like(variable):
    if planning():
        return Planned(tuple(variable.shape), trainable=False)
    return tf.Variable(tf.zeros(variable.shape), trainable=False)
