"""The original's way to use a network, for code written against it: NumPy in, NumPy NCHW out.

    G, D, Gs = networks.load_runnable("karras2019stylegan-ffhq-1024x1024.pkl")
    images = Gs.run(latents, None, truncation_psi=0.7, randomize_noise=False)

docs/from-the-original.md has its idioms next to this project's own.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, NoReturn, Optional

import numpy as np
import tensorflow as tf

from compute.images import convert_images_to_uint8, legacy_output
from dnnlib.config import nearest
from networks import layer_table, registry
from networks.keras_saving import refuse
from networks.options import INERT
from networks.original_variables import Variables
from networks.other_ways import Absent
from networks.sampling import Renderer

MAX_FUNCTIONS = 8  # compiled graphs kept for each network

# Options that a call may give in place of the network's own; those of training change nothing
# here, as in the original outside of training.
_OF_A_CALL = INERT | {
    "randomize_noise",
    "truncation_psi",
    "truncation_cutoff",
    "truncation_psi_val",
    "truncation_cutoff_val",
    "structure",
    "style_mixing_prob",
    "dlatent_avg_beta",
}
# Of a facade, the attributes that are no methods.
_FACTS = (
    *("network", "static_kwargs", "input_shapes", "output_shapes", "num_inputs", "num_outputs"),
    *("vars", "own_vars", "trainables"),
)
_STRUCTURES = ("auto", "fixed", "linear", "recursive")
_OUT = ("out_mul", "out_add", "out_shrink", "out_dtype")
_OF_RUN = ("minibatch_size", "print_progress", "output_transform", "return_as_list")


def runnable(network: Any) -> Optional[RunnableNetwork]:
    """The facade of a network of `networks.build` or `networks.load`; None stays None.

    There is one for each network, so that its compiled graphs are shared.
    """
    return None if network is None else network.runnable


class Fields(dict):
    """A dict whose items are also attributes."""

    def __getattr__(self, key: str) -> Any:
        if key in self:
            return self[key]
        raise AttributeError(f"no {key!r}{nearest(key, self)}; there are: {', '.join(self)}")


class RunnableNetwork(Variables):
    """One of this package's networks with the original's methods.

    network: that network. Nothing is copied: a change of either one is a change of both.
    name: for messages and tables. static_kwargs: every option of the network.
    components: of G_style `mapping` and `synthesis`, of the others none.
    input_shapes, output_shapes: lists, [None, C, H, W] for images; input_shape and output_shape
    are the first of them. vars, trainables: {local name: tf.Variable}; own_vars: those that belong
    to no component.
    """

    def __init__(self, network: Any, name: Optional[str] = None):
        self.network, self.name = network, name or network.func_name
        self.static_kwargs = Fields(network.options)
        parts = network.components_of_run()
        self.components = Fields({name: runnable(part) for name, part in parts.items()})
        self.vars, self.trainables = Fields(network.named), Fields(network.trainable())
        of_parts = {id(var) for part in self.components.values() for var in part.vars.values()}
        self.own_vars = Fields({k: v for k, v in self.vars.items() if id(v) not in of_parts})
        shapes = network.inputs_of_run()
        self._input_names, self.input_shapes = list(shapes), list(shapes.values())
        self.output_shape = network.output_of_run()
        self.input_shape, self.output_shapes = self.input_shapes[0], [self.output_shape]
        self.num_inputs, self.num_outputs = len(self.input_shapes), 1
        self._functions: dict = {}  # (level, fading, minibatch): graph; the last used is last
        self._renderer = Renderer(network) if hasattr(network, "render") else None

    def __deepcopy__(self, memo: dict) -> RunnableNetwork:
        memo[id(self)] = result = runnable(copy.deepcopy(self.network, memo))
        result.name = self.name
        return result

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        refuse(self.name, "pickle")

    def run(
        self,
        *inputs: Any,
        minibatch_size: Optional[int] = None,
        num_gpus: int = 1,
        assume_frozen: bool = False,
        print_progress: bool = False,
        output_transform: Optional[dict] = None,
        return_as_list: bool = False,
        return_dlatents: bool = False,
        **keywords: Any,
    ) -> Any:
        """Returns the output for NumPy inputs, float32 unless a transform makes it another type.

        inputs: generators: latents [N, L], labels [N, K]; mapping: the same → dlatents
        [N, layers, D]; synthesis: dlatents; discriminators: images [N, C, H, W] in [−1, 1],
        labels → scores [N, 1]. Images come out as [N, C, H, W], about [−1, 1]. None or left out:
        zeros. minibatch_size: None is all at once; a discriminator's scores depend on it
        (minibatch standard deviation). output_transform: {"func": convert_images_to_uint8 (also
        its name, or the original's own function), …its keywords}; any other function gets each
        minibatch as a tensor. return_as_list: [the output]. return_dlatents: of generators with
        styles, [images, w of every layer after truncation]. num_gpus and assume_frozen change
        nothing.

        keywords: randomize_noise (False: the noise variables), truncation_psi, truncation_cutoff
        (None: off), is_validation (True: truncation_psi_val and truncation_cutoff_val instead,
        which are None unless configured): by default as the network was built. lod is the
        network's variable; structure="fixed" ignores it. Networks that have no use for one of
        these ignore it. Also Progressive GAN's out_mul, out_add, out_shrink and out_dtype.
        Raises ValueError naming an unknown keyword or what does not fit.
        """
        if return_dlatents and not getattr(self.network, "has_styles", False):
            self._fail("return_dlatents=True: only a generator with styles has w to return")
        transform = self._transform(output_transform, keywords)
        settings = self._settings(keywords)
        arrays = self._arrays(inputs)
        count = len(arrays[0])
        size = self._minibatch(minibatch_size, count)
        result, dlatents = None, []
        for start in range(0, count, size):
            if print_progress:
                print(f"\r{start} / {count}", end="", flush=True)
            chunk = [tf.constant(array[start : start + size]) for array in arrays]
            output, codes = self._evaluate(chunk, **settings)
            values = transform(output.numpy())
            if return_dlatents:
                dlatents.append(codes.numpy())
            if len(values) != len(chunk[0]):
                self._fail(f"output_transform: {len(values)} items from {len(chunk[0])}")
            if result is None:
                result = np.empty([count, *values.shape[1:]], values.dtype)
            result[start : start + size] = values
        if print_progress:
            print(f"\r{count} / {count}", flush=True)
        if return_dlatents:
            return [result, np.concatenate(dlatents)]
        return [result] if return_as_list else result

    # ------------------------------------------------------------ as a whole

    def clone(self, name: Optional[str] = None, **new_static_kwargs: Any) -> RunnableNetwork:
        """A network of its own with the same values; new_static_kwargs change its options.

        Variables that only the new one has start as in a new network.
        """
        options = {**self.static_kwargs, **new_static_kwargs}
        result = runnable(type(self.network)(seed=self.network.seed, **options))
        result.name = name or self.name
        result.copy_vars_from(self)
        return result

    def list_layers(self) -> list[tuple[str, list, list[tf.Variable]]]:
        """(name, shape of the output, trained variables) of each layer.

        The original has an expression of TensorFlow 1 where the shape is.
        """
        by_layer: dict[str, list] = {}
        for name, variable in self.trainables.items():
            place = self.network.place_of(name)
            by_layer.setdefault(name if place is None else place.scope, []).append(variable)
        return [
            (
                row.name,
                [None, *row.output] if row.weight else list(row.output),
                by_layer.get(row.name, []),
            )
            for row in layer_table.rows(self.network)
        ]

    def __getattr__(self, name: str) -> NoReturn:
        raise Absent(self, name, OFFERED)

    def print_layers(self) -> None:
        """Prints a table: layer, trained numbers, shapes of output and weight."""
        print(f"{self.name:<30}{'Params':<12}{'OutputShape':<20}WeightShape")
        rows = layer_table.rows(self.network)
        for row in rows:
            output = f"({', '.join(['?', *map(str, row.output)])})" if row.weight else row.output
            count, weight = row.parameters or "-", row.weight or "-"
            print(f"{row.name:<30}{count!s:<12}{output!s:<20}{weight}")
        print(f"{'Total':<30}{sum(row.parameters for row in rows)}")

    # ------------------------------------------------------------ within run

    def _arrays(self, inputs: tuple) -> list[np.ndarray]:
        """The inputs as float32 arrays of equal length."""
        names = self._input_names
        if len(inputs) > self.num_inputs or all(value is None for value in inputs):
            self._fail(f"{len(inputs)} inputs, expected {' and '.join(names)}, not all None")
        inputs = [*inputs, *[None] * (self.num_inputs - len(inputs))]
        arrays, count = [], 0
        for name, value in zip(names, inputs):
            try:
                arrays.append(None if value is None else np.asarray(value, np.float32))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{self.name}: {name}: not numbers: {error}") from error
            if not count and value is not None and arrays[-1].ndim:
                count = len(arrays[-1])
        for index, (name, (_, *shape)) in enumerate(zip(names, self.input_shapes)):
            if arrays[index] is None:
                arrays[index] = np.zeros([count, *shape], np.float32)
            if arrays[index].shape != (count, *shape) or not count:
                expected = ", ".join(map(str, [count or "N", *shape]))
                self._fail(f"{name}: shape {arrays[index].shape}, expected ({expected})")
        return arrays

    def _minibatch(self, size: Optional[int], count: int) -> int:
        if size is None:
            return count
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
            self._fail(f"minibatch_size={size!r}, expected a positive whole number or None")
        return min(int(size), count)

    def _transform(self, output_transform: Optional[dict], keywords: dict) -> Callable:
        """A function: NumPy output → NumPy output. Takes out_* from the keywords."""
        old = {key: keywords.pop(key) for key in _OUT if key in keywords}
        if output_transform is None:
            return (lambda values: legacy_output(values, **old)) if old else lambda values: values
        if old or not isinstance(output_transform, dict) or "func" not in output_transform:
            self._fail("output_transform: expected a dict with 'func', and no out_* beside it")
        kwargs = dict(output_transform)
        function = kwargs.pop("func")
        # The original's own function may still be at hand, but speaks TensorFlow 1.
        if str(getattr(function, "__name__", function)).endswith("convert_images_to_uint8"):
            return lambda values: convert_images_to_uint8(values, **kwargs)
        if not callable(function):
            self._fail(f"output_transform: func is {function!r}, expected a function")
        return lambda values: np.asarray(function(tf.constant(values), **kwargs))

    def _settings(self, keywords: dict) -> dict[str, Any]:
        """The keywords of a call → what `_evaluate` takes; ValueError for what it cannot honour."""
        network, own = self.network, self.network.options
        for key, value in keywords.items():
            self._check_keyword(key, value)
        if keywords.get("is_training"):
            self._fail("is_training=True: run() does not train; call the network: training=True")
        structure = keywords.get("structure", own.get("structure", "auto"))
        if structure not in _STRUCTURES:
            self._fail(f"structure={structure!r}, expected one of {_STRUCTURES}")
        lod = None
        if "lod" in self.vars:  # the mapping network has none
            level, alpha = network.split_lod(None)
            lod = 0.0 if structure == "fixed" else level + (alpha or 0.0)
        settings = {"lod": lod, "noise": None}
        if self._renderer is not None:
            random = keywords.get("randomize_noise", own.get("randomize_noise", True))
            settings["noise"] = "random" if random else "fixed"
        for name in ("psi", "cutoff"):
            key = f"truncation_{name}" + ("_val" if keywords.get("is_validation") else "")
            value = keywords.get(key, own.get(key))
            if np.ndim(value) or isinstance(value, (str, bool)):
                self._fail(f"{key}={value!r}, expected a number or None")
            settings[name] = value.item() if hasattr(value, "item") else value
        return settings

    def _check_keyword(self, key: str, value: Any) -> None:
        own, known = self.network.options, registry.every_option()
        if key == "lod":
            self._fail("lod is a variable, not a keyword: set_var('lod', value)")
        if key not in _OF_A_CALL | known:
            near = nearest(key, [*_OF_A_CALL, *known, *_OUT, *_OF_RUN])
            self._fail(f"run() has no keyword {key!r}{near}")
        if key in _OF_A_CALL or key not in own:
            return
        changed = {**own, key: value}
        family = self.network.FAMILY
        if registry.resolve(self.network.func_name, family=family, **changed) != own:
            self._fail(
                f"{key}={value!r}, but the network is built with {own[key]!r}; "
                f"clone({key}={value!r}) makes one that differs"
            )

    def _evaluate(
        self,
        inputs: list[tf.Tensor],
        *,
        lod: Optional[float],
        noise: Optional[str],
        psi: Any,
        cutoff: Any,
    ) -> tuple[tf.Tensor, Optional[tf.Tensor]]:
        """(the output for tensors, images NCHW; the codes that images were made of, or None)."""
        network = self.network
        if self._renderer is None:
            level, alpha = (0, None) if lod is None else network.split_lod(lod)
            call = self._compiled(level, alpha is not None, len(inputs[0]))
            return call(inputs, tf.constant(alpha or 0.0)), None
        codes = inputs[0]
        if hasattr(network, "codes"):
            for part in self.components.values():
                # As the original does: a later run of the part alone has the same lod.
                if "lod" in part.vars:
                    part.network.lod.assign(network.lod)
            codes = self._codes(*inputs)
            # Truncation between the two graphs: another ψ needs no other graph.
            codes = network.truncate(codes, psi, cutoff)
        images = self._renderer(codes, lod=lod, noise=noise)
        return tf.transpose(images, [0, 3, 1, 2]), codes

    @functools.cached_property
    def _codes(self) -> Callable:
        codes = functools.partial(self.network.codes, truncation_psi=None)
        signature = [tf.TensorSpec(shape) for shape in self.input_shapes]
        return tf.function(codes, signature, autograph=False)

    def _compiled(self, level: int, fading: bool, minibatch: Optional[int]) -> Callable:
        """The graph of what makes no images: inputs, weight of the lower resolution → output.

        It reads the variables at every call, except lod, whose level decides what is computed.
        """
        network, sees_images = self.network, "images" in self._input_names
        if not sees_images:
            minibatch = None  # one graph for any; the scores of images depend on it
        key = (level, fading, minibatch)
        if key in self._functions:
            self._functions[key] = self._functions.pop(key)
            return self._functions[key]

        @tf.function(autograph=False)
        def call(inputs, alpha):
            # Not `network(…)`: Keras would remember these arguments for saving the model.
            if not sees_images:
                return network.call(*inputs)
            images, labels = inputs
            images = tf.transpose(images, [0, 2, 3, 1])
            return network.at_stage(images, labels, level, alpha if fading else None)

        signature = [tf.TensorSpec([minibatch, *shape[1:]]) for shape in self.input_shapes]
        function = call.get_concrete_function(signature, tf.TensorSpec([]))
        while len(self._functions) >= MAX_FUNCTIONS:
            del self._functions[next(iter(self._functions))]
        self._functions[key] = function
        return function


# What networks have of their facade, besides its methods for what Keras has under the same name.
OFFERED = frozenset(_FACTS).union(key for key in dir(RunnableNetwork) if not key.startswith("_"))
