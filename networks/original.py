"""The original's way to use a network, for code written against it: NumPy in, NumPy NCHW out.

    G, D, Gs = networks.load_runnable("karras2019stylegan-ffhq-1024x1024.pkl")
    images = Gs.run(latents, None, truncation_psi=0.7, randomize_noise=False)

docs/from-the-original.md has its idioms next to this project's own.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from compute.images import convert_images_to_uint8, legacy_output
from dnnlib.config import nearest
from networks import layer_table
from networks.options import INERT, OPTIONS, resolve
from networks.registry import build
from networks.snapshot import ROLES, load
from networks.stylegan.synthesis import as_seed

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
_STRUCTURES = ("auto", "fixed", "linear", "recursive")
_OUT = ("out_mul", "out_add", "out_shrink", "out_dtype")
_OF_RUN = ("minibatch_size", "print_progress", "output_transform", "return_as_list")


def runnable(network) -> RunnableNetwork | None:
    """The facade of a network of `networks.build` or `networks.load`; None stays None.

    There is one for each network, so that its compiled graphs are shared.
    """
    return None if network is None else network.runnable


def load_runnable(source) -> tuple:
    """(G, D, Gs) as `networks.load` finds them, each a RunnableNetwork or None."""
    found = tuple(map(runnable, load(source)))
    for role, network in zip(ROLES, found):
        if network is not None:
            network.name = role
    return found


class Fields(dict):
    """A dict whose items are also attributes."""

    def __getattr__(self, key):
        if key in self:
            return self[key]
        raise AttributeError(f"no {key!r}{nearest(key, self)}; there are: {', '.join(self)}")


class RunnableNetwork:
    """One of this package's networks with the original's methods.

    network: that network. Nothing is copied: a change of either one is a change of both.
    name: for messages and tables. static_kwargs: every option of the network.
    components: of G_style `mapping` and `synthesis`, of the others none.
    input_shapes, output_shapes: lists, [None, C, H, W] for images; input_shape and output_shape
    are the first of them. vars, trainables: {local name: tf.Variable}.
    """

    def __init__(self, network, name: str | None = None):
        self.network, self.name = network, name or network.func_name
        self.static_kwargs = Fields(network.options)
        parts = ("mapping", "synthesis") if network.func_name == "G_style" else ()
        self.components = Fields({part: runnable(getattr(network, part)) for part in parts})
        self.vars, self.trainables = Fields(network.named), Fields(network.trainable())
        inputs, self.output_shape = _interface(network)
        self._input_names, self.input_shapes = list(inputs), list(inputs.values())
        self.input_shape, self.output_shapes = self.input_shapes[0], [self.output_shape]
        self.num_inputs, self.num_outputs = len(self.input_shapes), 1
        self._functions = {}  # (lod, noise, minibatch): compiled function; the last used is last

    def run(
        self, *inputs, minibatch_size: int | None = None, num_gpus=1, assume_frozen=False,
        print_progress=False, output_transform=None, return_as_list=False, **keywords,
    ):  # fmt: skip
        """Returns the output for NumPy inputs, float32 unless a transform makes it another type.

        inputs: generators: latents [N, L], labels [N, K]; mapping: the same → dlatents
        [N, layers, D]; synthesis: dlatents; discriminators: images [N, C, H, W] in [−1, 1],
        labels → scores [N, 1]. Images come out as [N, C, H, W], about [−1, 1]. None or left out:
        zeros. minibatch_size: None is all at once; a discriminator's scores depend on it
        (minibatch standard deviation). output_transform: {"func": convert_images_to_uint8 (also
        its name, or the original's own function), …its keywords}; any other function gets each
        minibatch as a tensor. return_as_list: [the output]. num_gpus and assume_frozen change
        nothing.

        keywords: randomize_noise (False: the noise variables), truncation_psi, truncation_cutoff
        (None: off), is_validation (True: truncation_psi_val and truncation_cutoff_val instead,
        which are None unless configured): by default as the network was built. lod is the
        network's variable; structure="fixed" ignores it. Networks that have no use for one of
        these ignore it. Also Progressive GAN's out_mul, out_add, out_shrink and out_dtype.
        Raises ValueError naming an unknown keyword or what does not fit.
        """
        transform = self._transform(output_transform, keywords)
        settings = self._settings(keywords)
        arrays = self._arrays(inputs)
        count = len(arrays[0])
        size = self._minibatch(minibatch_size, count)
        result = None
        for start in range(0, count, size):
            if print_progress:
                print(f"\r{start} / {count}", end="", flush=True)
            chunk = [tf.constant(array[start : start + size]) for array in arrays]
            values = transform(self._evaluate(chunk, **settings).numpy())
            if len(values) != len(chunk[0]):
                self._fail(f"output_transform: {len(values)} items from {len(chunk[0])}")
            if result is None:
                result = np.empty([count, *values.shape[1:]], values.dtype)
            result[start : start + size] = values
        if print_progress:
            print(f"\r{count} / {count}", flush=True)
        return [result] if return_as_list else result

    # ------------------------------------------------------------ variables

    def find_var(self, name):
        """The tf.Variable with a local name; a variable is returned as it is."""
        if not isinstance(name, str):
            return name
        if name not in self.vars:
            self._fail(f"no variable {name!r}{nearest(name, self.vars)}")
        return self.vars[name]

    def get_var(self, name) -> np.ndarray:
        """The value of a variable, by its local name."""
        return np.array(self.find_var(name).numpy())

    def set_var(self, name, value) -> None:
        """Sets a variable; ValueError when the shape is another."""
        variable, value = self.find_var(name), np.asarray(value, np.float32)
        if value.shape != tuple(variable.shape):
            name = getattr(name, "name", name)
            self._fail(f"{name}: shape {value.shape}, expected {tuple(variable.shape)}")
        variable.assign(value)

    def copy_vars_from(self, other) -> None:
        """Copies every variable whose name both networks have."""
        other = getattr(other, "runnable", other)
        for name in self.vars:
            if name in other.vars:
                self.set_var(name, other.get_var(name))

    def clone(self, name: str | None = None, **new_static_kwargs) -> RunnableNetwork:
        """A network of its own with the same values; new_static_kwargs change its options.

        Variables that only the new one has start as in a new network.
        """
        options = {**self.static_kwargs, **new_static_kwargs}
        result = runnable(build(self.network.func_name, seed=self.network.seed, **options))
        result.name = name or self.name
        result.copy_vars_from(self)
        return result

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

    def _fail(self, message):
        raise ValueError(f"{self.name}: {message}")

    def _arrays(self, inputs):
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

    def _minibatch(self, size, count):
        if size is None:
            return count
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
            self._fail(f"minibatch_size={size!r}, expected a positive whole number or None")
        return min(int(size), count)

    def _transform(self, output_transform, keywords):
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

    def _settings(self, keywords):
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
            lod = 0.0 if structure == "fixed" else float(sum(network.split_lod(None)))
        settings = {"lod": lod, "noise": None}
        if "randomize_noise" in own:
            random = keywords.get("randomize_noise", own["randomize_noise"])
            settings["noise"] = "random" if random else "fixed"
        for name in ("psi", "cutoff"):
            key = f"truncation_{name}" + ("_val" if keywords.get("is_validation") else "")
            value = keywords.get(key, own.get(key))
            if np.ndim(value) or isinstance(value, (str, bool)):
                self._fail(f"{key}={value!r}, expected a number or None")
            settings[name] = value.item() if hasattr(value, "item") else value
        return settings

    def _check_keyword(self, key, value):
        own, known = self.network.options, {key for table in OPTIONS.values() for key in table}
        if key == "lod":
            self._fail("lod is a variable, not a keyword: set_var('lod', value)")
        if key not in _OF_A_CALL | known:
            near = nearest(key, [*_OF_A_CALL, *known, *_OUT, *_OF_RUN])
            self._fail(f"run() has no keyword {key!r}{near}")
        if key in _OF_A_CALL or key not in own:
            return
        if resolve(self.network.func_name, **{**own, key: value}) != own:
            self._fail(
                f"{key}={value!r}, but the network is built with {own[key]!r}; "
                f"clone({key}={value!r}) makes one that differs"
            )

    def _evaluate(self, inputs, *, lod, noise, psi, cutoff):
        """The output for tensors, images NCHW."""
        seed = as_seed(None)
        if not self.components:
            return self._compiled(lod, noise, len(inputs[0]))(inputs, seed)
        mapping, synthesis = self.components.mapping, self.components.synthesis
        # As the original does: a later run of the synthesis network alone has the same lod.
        synthesis.network.lod.assign(self.network.lod)
        w = mapping._compiled(None, None, len(inputs[0]))(inputs, seed)
        # Truncation between the two graphs: another ψ needs no other graph.
        w = self.network.truncate(w, psi, cutoff)
        return synthesis._compiled(lod, noise, len(w))([w], seed)

    def _compiled(self, lod, noise, minibatch):
        """The graph function for settings: (inputs, seed) → output.

        It reads the variables at every call, except lod, which decides what is computed.
        """
        network, kind = self.network, self.network.func_name
        if not kind.startswith("D_"):
            minibatch = None  # one graph for any
        key = (lod, noise, minibatch)
        if key in self._functions:
            self._functions[key] = self._functions.pop(key)
            return self._functions[key]

        @tf.function(autograph=False)
        def call(inputs, seed):
            # Not `network(…)`: Keras would remember these arguments for saving the model.
            if kind == "G_mapping":
                return network.call(*inputs)
            if kind == "G_synthesis":
                return _nchw(network.call(*inputs, lod=lod, noise=noise, seed=seed))
            if kind == "G_paper":
                return _nchw(network.call(*inputs, lod=lod))
            images, labels = inputs
            return network.call(tf.transpose(images, [0, 2, 3, 1]), labels, lod=lod)

        signature = [tf.TensorSpec([minibatch, *shape[1:]]) for shape in self.input_shapes]
        function = call.get_concrete_function(signature, tf.TensorSpec([2], tf.int32))
        while len(self._functions) >= MAX_FUNCTIONS:
            del self._functions[next(iter(self._functions))]
        self._functions[key] = function
        return function


def _nchw(images):
    return tf.transpose(images, [0, 3, 1, 2])


def _interface(network):
    """({input: shape}, output shape) as `run` takes and returns them."""
    opt, kind = network.options, network.func_name
    pair = {"latents": [None, opt.get("latent_size")], "labels": [None, opt.get("label_size")]}
    if kind == "G_mapping":
        copies = opt["dlatent_broadcast"]
        return pair, [None, network.width] if copies is None else [None, copies, network.width]
    images = [None, opt["num_channels"], network.resolution, network.resolution]
    if kind == "G_synthesis":
        return {"dlatents": [None, network.num_layers, opt["dlatent_size"]]}, images
    if kind.startswith("D_"):
        return {"images": images, "labels": pair["labels"]}, [None, 1]
    return pair, images
