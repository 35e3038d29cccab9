"""Every recorded intermediate value of golden case a, layer by layer.

When `test_golden_networks` fails, this says where. The walk below calls the networks' own
layers one by one, in the plain form of the arithmetic, which passes through every recorded
stage. Tolerance: 2e-5 of an array's largest magnitude; two builds of the reference differ by
2e-6. Measured here: 6.9e-6, on both TensorFlow versions.
"""

import pytest
import tensorflow as tf

from networks import fast, ops
from tests import golden
from tests.networks.common import error, nchw, nhwc
from tests.networks.test_golden_networks import TOLERANCE, Case

FILE = "large/intermediates_a.npz"

pytestmark = pytest.mark.conformance


def lerp_clip(a, b, t):
    """The reference's way to grow: full-size images at every resolution, blended."""
    return a + (b - a) * min(max(t, 0.0), 1.0)


def walk_mapping(network, z, seen):
    x = seen["mapping/pixelnorm"] = ops.pixel_norm(tf.constant(z))
    for index, layer in enumerate(network.dense):
        x = seen[f"mapping/Dense{index}:act"] = layer(x)


def walk_layer(layer, x, w, noise, seen):
    """One synthesis layer; x: the source's input. Returns its output, of the whole layer."""
    scope = f"synthesis/{layer.scope}"
    out = layer(x, w, noise)
    if scope.endswith("Const"):
        x = seen["synthesis/4x4:const"] = layer.source(x)
    else:
        if "Conv0_up" in scope:
            seen[f"{scope}:up"] = ops.upscale2d(x)
        x = seen[f"{scope}:conv"] = layer.source(x)
    if layer.blur:
        x = seen[f"{scope}:blur"] = ops.blur2d(x, layer.blur)
    x = seen[f"{scope}:noise"] = layer.noise(x, noise)
    x = seen[f"{scope}:bias"] = layer.bias(x)
    x = seen[f"{scope}:act"] = ops.leaky_relu(x)
    x = seen[f"{scope}:instnorm"] = ops.instance_norm(x)
    seen[f"{scope}:style"] = tf.concat(layer.style.affine(w), axis=-1)
    seen[f"{scope}:out"] = layer.style(x, w)
    assert error(seen[f"{scope}:out"], out) <= TOLERANCE
    return out


def walk_synthesis(network, w, seen):
    x, images = w[:, 0], {}
    for block, layers in enumerate(network.blocks):
        for half, layer in enumerate(layers):
            index = 2 * block + half
            noise = tf.transpose(network.noise_variables[index], [0, 2, 3, 1])
            x = walk_layer(layer, x, w[:, index], noise, seen)
        level = len(network.blocks) - 1 - block
        to_rgb = network.to_rgb[str(level)]
        scope = f"synthesis/ToRGB_lod{level}"
        seen[f"{scope}:conv"] = to_rgb.conv(x)
        images[level] = seen[f"{scope}:bias"] = to_rgb(x)
    for lod in (0, 1.25):
        grown = images[3]
        for level in (2, 1, 0):
            grown = lerp_clip(images[level], ops.upscale2d(grown), lod - level)
            seen[f"synthesis_lod{lod}/Grow_lod{level}:grown"] = grown
    seen["synthesis/images_out"] = network(w, noise="fixed", lod=0)
    seen["synthesis_lod1.25/images_out"] = network(w, noise="fixed", lod=1.25)


def walk_block(network, res, x, seen):
    """Two layers of the discriminator, from 2^res to half of it."""
    first, second = network.blocks[str(res)]
    scopes = [f"D/{layer.scope}" for layer in (first, second)]
    seen[f"{scopes[0]}:conv"] = first.source(x)
    x = seen[f"{scopes[0]}:act"] = first(x)
    x = seen[f"{scopes[1]}:blur"] = ops.blur2d(x, network.options["blur_filter"])
    conv = second.source
    kernel = conv.weight * conv.coefficient
    seen[f"{scopes[1]}:conv"] = ops.conv2d(x, kernel)
    seen[f"{scopes[1]}:down"] = second.source(x)
    x = seen[f"{scopes[1]}:act"] = second(x)
    return x


def walk_grown(network, images, lod, seen):
    """The reference's discriminator: all blocks at full size, RGB layers blended in."""
    x = network.from_rgb["0"](images)
    for level, res in enumerate((5, 4, 3)):
        x = walk_block(network, res, x, seen if lod == 0 else {})
        images = ops.downscale2d(images)
        suffix = f"_{level}" if level else ""
        seen[f"D/Downscale2D{suffix}"] = images
        lower = seen[f"D/FromRGB_lod{level + 1}:act"] = network.from_rgb[str(level + 1)](images)
        x = lerp_clip(x, lower, lod - level)
        prefix = "D" if lod == 0 else f"D_lod{lod}"
        seen[f"{prefix}/Grow_lod{level}:grown"] = x
    return x


def walk_discriminator(network, images, seen):
    walk_grown(network, images, 1.25, seen)
    x = walk_grown(network, images, 0, seen)
    x = seen["D/4x4:mbstd"] = ops.minibatch_stddev(x, 4, 1)
    seen["D/4x4/Conv:conv"] = network.conv.source(x)
    x = seen["D/4x4/Conv:act"] = network.conv(x)
    x = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [len(images), -1])
    seen["D/4x4/Dense0:matmul"] = network.dense0.source(x)
    x = seen["D/4x4/Dense0:act"] = network.dense0(x)
    x = seen["D/4x4/Dense1:matmul"] = network.dense1(x)
    seen["D/4x4/Dense1:bias"] = network.bias1(x)
    seen["D/scores_out"] = network(images, lod=0)
    seen["D_lod1.25/scores_out"] = network(images, lod=1.25)


def test_every_intermediate_of_case_a():
    case, data = Case("a"), dict(golden.load(FILE))
    seen = {}
    with fast.using(fast.PLAIN):
        generator = case.network("Gs")
        walk_mapping(generator.mapping, data["z"], seen)
        seen["dlatents"] = generator.mapping(data["z"])
        walk_synthesis(generator.synthesis, tf.constant(data["dlatents"][:1]), seen)
        walk_discriminator(case.network("D"), tf.constant(nhwc(data["d_images"])), seen)
    errors = {}
    for key in data.keys() - {"z", "d_images"}:  # a key that the walk misses is a KeyError
        value = seen[key].numpy()
        errors[key] = error(nchw(value) if value.ndim == 4 else value, data[key])
    worst = max(errors, key=errors.get)
    print(f"worst: {errors[worst]:.1e} {worst}")
    assert not {key: value for key, value in errors.items() if not value <= TOLERANCE}
