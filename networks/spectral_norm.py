"""Spectral normalisation (Miyato et al. 2018) with the wrapper that this machine's Keras has."""

from __future__ import annotations

import warnings

import tensorflow as tf
from tensorflow import keras

from networks.layers import Initial, Layer, planning, tf_variable


def make_wrapper(layer: Layer) -> keras.layers.Layer:
    """TensorFlow Addons' SpectralNormalization where it can be imported, else Keras's; built."""
    with warnings.catch_warnings():
        # Addons announces its end of life, and Keras 2 draws the first u in a deprecated way.
        warnings.simplefilter("ignore")
        try:
            from tensorflow_addons.layers import SpectralNormalization
        except ImportError:
            SpectralNormalization = keras.layers.SpectralNormalization
        wrapper = SpectralNormalization(layer, dtype="float32")
        wrapper.build([None, layer.kernel.shape[-2]])
    return wrapper


class SpectralNorm(Layer):
    """Keeps the largest singular value σ of what a Conv2D or Dense applies near 1.

    σ is that of the kernel as a matrix [kh·kw·in, out] (Miyato et al. 2018, §2.1 and algorithm
    1). The wrapper is its normaliser only: the layer is called as ever, and `normalize` is
    called outside of gradients and replicas.

    vector: u [1, out], the estimate of the first right singular vector; N(0, 1) at the start,
    of which only the direction matters.
    """

    def __init__(self, source: Layer):
        super().__init__(source.scope, source.seed)
        self.source = source
        if planning():
            self.vector = self.plan("spectral_u", [1, source.kernel.shape[-1]], trainable=False)
            return
        self.wrapper = make_wrapper(source)
        (vector,) = self.wrapper.non_trainable_weights  # its name is not the same everywhere
        self.vector = self.named["spectral_u"] = tf_variable(vector)
        initial = Initial(self.seed, f"{self.scope}/spectral_u", 1.0)
        self.vector.assign(initial(self.vector.shape))
        self._returns = hasattr(self.wrapper, "normalized_weights")
        if not self._returns:  # converted, because Keras 2's branches on a tensor
            self._assign = tf.autograph.to_graph(type(self.wrapper).normalize_weights)

    def normalize(self) -> None:
        """One power iteration: moves u, and divides the kernel by the σ that it gives.

        Call it in cross-replica context: all replicas then get the same values. A kernel of
        zeros stays as it is.
        """
        kernel, vector = self.source.kernel, self.vector
        old_kernel, old_vector = tf.convert_to_tensor(kernel), tf.convert_to_tensor(vector)
        new_vector, new_kernel = self._iterate()
        # What the layer applies is coefficient · kernel, and that is to have σ = 1.
        new_kernel /= self.source.coefficient
        # Zeros have no direction: some wrappers make 0/0 of them.
        finite = tf.reduce_all(tf.math.is_finite(new_kernel))
        kernel.assign(tf.where(finite, new_kernel, old_kernel))
        vector.assign(tf.where(finite, new_vector, old_vector))

    def _iterate(self) -> tuple[tf.Tensor, tf.Tensor]:
        """(u, kernel / σ), which Keras 3's wrapper returns and the others assign."""
        if self._returns:
            return self.wrapper.normalized_weights()
        self._assign(self.wrapper)
        return tf.convert_to_tensor(self.vector), tf.convert_to_tensor(self.source.kernel)
