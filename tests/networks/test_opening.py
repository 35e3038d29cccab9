"""Opening a file draws nothing, holds little twice, and stays exact."""

import gc
import json
import os
import struct
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import networks
from benchmarks.opening import write_pickle
from dnnlib import tensor_file
from dnnlib.errors import UserError
from networks import layers, legacy, snapshot
from networks.sampling import generator_function
from tests.networks.common import discriminator, generator, normal, randomize

pytestmark = pytest.mark.conformance

# Three networks of 69 MB: weights large enough to stand out against Keras's own objects.
ROOT = Path(__file__).resolve().parents[2]
OPTIONS = dict(resolution=16, fmap_max=256, num_channels=3)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """({suffix: path}, {role: arrays}) of the same three networks."""
    folder = tmp_path_factory.mktemp("opening")
    paths = {suffix: folder / f"networks.{suffix}" for suffix in ("safetensors", "pkl")}
    names = {"G": "G_style", "D": "D_basic", "Gs": "G_style"}
    roles = {
        role: networks.build(name, seed=seed, **OPTIONS)
        for seed, (role, name) in enumerate(names.items())
    }
    networks.save(paths["safetensors"], **roles)
    write_pickle(paths["pkl"], roles.values(), OPTIONS)
    return paths, {role: network.arrays() for role, network in roles.items()}


@pytest.fixture
def draws(monkeypatch):
    """A list that grows with every initial weight that is drawn."""
    made, philox = [], np.random.Philox

    def counted(*args, **kwargs):
        made.append(1)
        return philox(*args, **kwargs)

    monkeypatch.setattr(np.random, "Philox", counted)
    return made


def peak_of(function):
    """(the most bytes of Python's and NumPy's that a call holds at once, what it returns)."""
    gc.collect()
    tracemalloc.start()
    try:
        result = function()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", ["safetensors", "pkl"])
def test_exact_and_nothing_is_drawn(suffix, files, draws):
    paths, arrays = files
    loaded = networks.load(paths[suffix])
    assert not draws
    for network, wanted in zip(loaded, arrays.values()):
        found = network.arrays()
        assert list(found) == list(wanted)
        for name, array in wanted.items():
            np.testing.assert_array_equal(found[name], array, err_msg=name)
    generate = generator_function(loaded[2], noise="fixed")
    assert not draws
    z = normal(2, 512)
    np.testing.assert_allclose(generate(z), loaded[2](z, noise="fixed"), atol=1e-5)
    networks.build("D_basic", seed=0, **OPTIONS)
    assert draws  # so the count would have seen them


def test_of_a_snapshot_one_array_at_a_time(files):
    paths, _ = files
    peak, loaded = peak_of(lambda: networks.load(paths["safetensors"]))
    assert None not in loaded
    assert peak < 0.5 * paths["safetensors"].stat().st_size


def test_the_bytes_of_a_pickle_go_before_networks_are_made(files, monkeypatch):
    path, build, first = files[0]["pkl"], legacy.build, []

    def watched(*args, **kwargs):
        if not first:
            first.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
        return build(*args, **kwargs)

    monkeypatch.setattr(legacy, "build", watched)
    peak, loaded = peak_of(lambda: networks.load(path))
    assert None not in loaded
    size = path.stat().st_size
    assert first[0] < 2.2 * size  # the file, and its arrays apart from it
    assert peak < 1.4 * size


def test_a_pickles_arrays_go_as_its_networks_get_them(files, monkeypatch):
    path, build, left = files[0]["pkl"], legacy.build, []

    def watched(*args, **kwargs):
        network = build(*args, **kwargs)
        left.append(tracemalloc.get_traced_memory()[0])
        return network

    monkeypatch.setattr(legacy, "build", watched)
    _, loaded = peak_of(lambda: networks.load(path))
    assert None not in loaded
    size = path.stat().st_size
    assert left[0] < 0.75 * size  # without the first network's
    assert left[2] < 0.2 * size


PEAK = """
import networks, numpy
def memory(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key)) * 1024
networks.build("D_basic", resolution=4, num_channels=1, fmap_max=8)(numpy.zeros([4, 4, 4, 1], "f"))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak starts anew
before = memory("VmRSS:")
loaded = networks.load({path!r})
print(memory("VmHWM:") - before)
"""


@pytest.mark.parametrize(
    ("numbers", "name"), [("f4", "D_basic"), ("f2", "D_basic"), ("f2", "G_main")]
)
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="Linux only")
def test_opening_a_pickle_takes_twice_its_size(numbers, name, tmp_path):
    """Of the process's memory, TensorFlow's variables among it."""
    path, options = tmp_path / "net.pkl", dict(resolution=8, num_channels=1, fmap_base=4096)
    network = networks.build(name, fmap_max=1024, **options)
    write_pickle(path, [network], {**options, "fmap_max": 1024}, numbers)
    command = [sys.executable, "-c", PEAK.format(path=str(path))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    size = path.stat().st_size
    assert size > 60 * 2**20
    assert int(done.stdout) < 2 * size + 64 * 2**20


def test_of_a_frozen_copy_one_array_at_a_time(files):
    G = networks.load(files[0]["safetensors"])[0]
    size = sum(array.nbytes for array in files[1]["G"].values())
    peak, _ = peak_of(lambda: generator_function(G))
    assert peak < 0.5 * size


@pytest.mark.parametrize(
    "shape", [(), (3,), (600_001,), (3, 3, 300, 301), (1, 2, 2**19), (700, 999)]
)
def test_halves_are_exact_in_a_variable(shape):
    value = np.float16(np.random.RandomState(0).randn(*shape) * 1e-4)  # some are subnormal
    variable = layers.tf.Variable(layers.tf.zeros(shape))
    layers.assign(variable, value)
    np.testing.assert_array_equal(variable.numpy(), np.float32(value))


# ---------------------------------------------------------------- what must stay as it was


def test_a_loaded_network_needs_its_file_no_more(tmp_path):
    path, source = tmp_path / "net.safetensors", randomize(generator())
    networks.save(path, Gs=source)
    _, _, Gs = networks.load(path)
    path.write_bytes(b"")  # in place: an array that were a view of the file would be gone
    for name, array in source.arrays().items():
        np.testing.assert_array_equal(Gs.named[name].numpy(), array, err_msg=name)


def test_arrays_to_start_with(draws):
    source = randomize(discriminator())
    pairs = list(source.arrays().items())
    draws.clear()
    options = dict(source.options)
    network = networks.build("D_basic", seed=5, arrays=reversed(pairs), **options)
    assert not draws
    assert network.seed == 5
    for name, array in pairs:
        np.testing.assert_array_equal(network.named[name].numpy(), array, err_msg=name)


def test_arrays_that_do_not_fit_are_one_error():
    arrays = discriminator().arrays()
    arrays["new"] = arrays.pop("lod")
    arrays["4x4/Conv/bias"] = np.zeros(7, np.float32)
    arrays["4x4/Dense1/bias"] = ["text"]
    with pytest.raises(ValueError) as caught:
        networks.build("D_basic", arrays=arrays.items(), **discriminator().options)
    assert str(caught.value) == (
        "D_basic: arrays do not fit: missing: lod; "
        "shape of 4x4/Conv/bias: expected (8,), got (7,); not numbers: 4x4/Dense1/bias; "
        "unknown: new"
    )
    # What failed has not switched anything off.
    assert discriminator().arrays()["4x4/Conv/weight"].any()


@pytest.mark.parametrize("name", ["arrays", "seed", "func_name"])
def test_an_option_with_the_name_of_an_argument_is_an_error_that_names_the_file(name, tmp_path):
    D, options = discriminator(resolution=4), {**OPTIONS, name: 1}
    write_pickle(tmp_path / "net.pkl", [D], options)
    kinds = {"D": {"func_name": "D_basic", "options": options}}
    arrays = {f"D/{key}": array for key, array in D.arrays().items()}
    metadata = {"networks": json.dumps(kinds)}
    tensor_file.save(tmp_path / "net.safetensors", arrays, snapshot.FORMAT, metadata)
    for file in ("net.pkl", "net.safetensors"):
        with pytest.raises(UserError, match=rf"{file}: D: .*'{name}'"):
            networks.load(tmp_path / file)


def test_networks_made_meanwhile_in_other_threads_are_drawn():
    made = []
    with layers.undrawn():
        thread = threading.Thread(target=lambda: made.append(discriminator()))
        thread.start()
        thread.join()
        assert not discriminator().arrays()["4x4/Conv/weight"].any()
    weight = made[0].arrays()["4x4/Conv/weight"]
    np.testing.assert_array_equal(weight, discriminator().arrays()["4x4/Conv/weight"])
    assert weight.any()


def test_a_type_of_number_that_numpy_lacks_is_an_error_that_names_the_file(tmp_path):
    """It shows when the array is read, which is after the file was opened."""
    path, D = tmp_path / "net.safetensors", discriminator(resolution=4)
    networks.save(path, D=D)
    data = path.read_bytes()
    length = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:length])
    header["D/4x4/Conv/bias"].update(dtype="F8_E4M3", shape=[32])  # of the same 32 bytes
    del header["__metadata__"]["crc32c"], header["__metadata__"]["checksum"]  # as files of before
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[length:])
    for read in (networks.load, snapshot.read):
        with pytest.raises(UserError, match=r"net\.safetensors: .*float8") as caught:
            read(path)
        assert "\n" not in str(caught.value)
