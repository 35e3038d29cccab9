"""The feature networks' weights from every published form; damaged, wrong and missing files."""

import gzip
import hashlib
import random
import tarfile
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

from dnnlib import download, tensor_file
from dnnlib.errors import UserError
from metrics.features import (
    inception,
    vgg16,
    weight_files,
    weights,
)
from tests.dnnlib import test_file_kinds
from tests.dnnlib.download import bad_server
from tests.metrics.features import feature_files as files
from tests.metrics.features.feature_weights import (
    inception_arrays,
    narrow_vgg16_arrays,
    vgg16_arrays,
)

pytestmark = pytest.mark.conformance

FORMS = {
    "inception": {
        "graph": files.graph,
        "tgz": lambda arrays: files.tgz(files.graph(arrays)),
        "torch": lambda arrays: files.torch(files.torch_arrays("inception", arrays)),
        "old torch": lambda arrays: files.torch(files.torch_arrays("inception", arrays), "stream"),
        "pickle": lambda arrays: files.pickle(files.inception_variables(arrays)),
    },
    "vgg16": {
        "torch": lambda arrays: files.torch(files.torch_arrays("vgg16", arrays)),
        "old torch": lambda arrays: files.torch(files.torch_arrays("vgg16", arrays), "stream"),
        "pickle": lambda arrays: files.pickle(files.vgg16_variables(arrays, vgg16.heads())),
    },
}
KINDS = {"graph": "frozen graph", "tgz": "frozen graph", "pickle": "legacy pickle"}


@pytest.fixture(name="made", scope="module")
def _made():
    return {"inception": inception_arrays(), "vgg16": vgg16_arrays()}


@pytest.fixture(name="narrow")
def _narrow(monkeypatch, made):
    """Inception with an eighth of its channels: small files."""
    arrays = {
        name: array[(slice(None),) * (array.ndim - 2) + (np.s_[::8],) * min(array.ndim, 2)].copy()
        for name, array in made["inception"].items()
    }
    shapes = {name: array.shape for name, array in arrays.items()}
    monkeypatch.setattr(inception, "shapes", lambda: shapes)
    return arrays


def equal(found, wanted):
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def complete(which, arrays):
    return {**arrays, **vgg16.heads()} if which == "vgg16" else arrays


def written(path, data):
    path.write_bytes(data)
    return path


def refused(which, path, match, header_tells=True):
    """header_tells: whether a look at the file without its values refuses it as well, or None."""
    with pytest.raises(UserError, match=match) as caught:
        weights.load(which, path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    try:
        told = weights.check(which, path)
    except UserError as error:
        told = str(error)
    if header_tells is not None:
        assert told == (message if header_tells else True)


def check(path, which, form, arrays):
    data = FORMS[which][form](arrays)
    loaded = weights.load(which, written(path, data))
    equal(loaded.arrays, complete(which, arrays))
    assert loaded.file == path.name
    assert loaded.sha256 == hashlib.sha256(data).hexdigest()
    assert loaded.kind == KINDS.get(form, "PyTorch state dict")
    assert weights.check(which, path)


# The names say nothing about the forms.
@pytest.mark.parametrize("form", FORMS["inception"])
def test_forms_of_inception(tmp_path, narrow, form):
    check(tmp_path / "any.name", "inception", form, narrow)


def test_whole_inception(tmp_path, made):
    check(tmp_path / "any.name", "inception", "graph", made["inception"])


@pytest.mark.parametrize("form", FORMS["vgg16"])
def test_forms_of_vgg16(tmp_path, made, form):
    check(tmp_path / "any.name", "vgg16", form, made["vgg16"])


@pytest.mark.parametrize("which", FORMS)
def test_converted(tmp_path, monkeypatch, made, which):
    """It is found in the cache, comes first there, and gives the same features."""
    data = FORMS[which]["torch"](made[which])
    source = written(tmp_path / "source.pth", data)
    weights.convert(which, source, tmp_path / weights.CONVERTED[which])
    source.rename(tmp_path / weights.PUBLISHED[which][-1].file)
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(tmp_path))
    assert weights.check(which)
    loaded = weights.load(which)
    equal(loaded.arrays, complete(which, made[which]))
    assert loaded.file == weights.CONVERTED[which]
    sha256 = hashlib.sha256(data).hexdigest()
    assert loaded.kind == f"converted from 'source.pth', sha256 {sha256!r}"

    images = np.random.default_rng(1).uniform(0, 255, (2, 1, 16, 16, 3)).astype(np.float32)
    if which == "inception":
        found, wanted = (inception.Inception(a)(images[0]) for a in (loaded.arrays, made[which]))
    else:
        kinds = loaded.arrays, complete(which, made[which])
        found, wanted = (vgg16.Lpips(arrays)(*images) for arrays in kinds)
    np.testing.assert_array_equal(found, wanted)
    other = {"inception": "vgg16", "vgg16": "inception"}[which]
    refused(other, tmp_path / loaded.file, rf"holds the network '{which}', expected '{other}'")


def test_names_of_pytorch():
    """Spot checks of what the comparison with pytorch-fid and torchvision established."""
    names = weight_files.torch_names("inception")
    assert len(set(names.values())) == 4 * 94
    assert names["conv/conv2d_params"] == "Conv2d_1a_3x3.conv.weight"
    assert names["mixed/conv/batchnorm/beta"] == "Mixed_5b.branch1x1.bn.bias"
    assert names["mixed_4/tower_1/conv_4/conv2d_params"] == "Mixed_6b.branch7x7dbl_5.conv.weight"
    assert names["mixed_10/tower_1/mixed/conv_1/batchnorm/moving_variance"] == (
        "Mixed_7c.branch3x3dbl_3b.bn.running_var"
    )
    assert weight_files.torch_names("vgg16")["conv5_3/bias"] == "features.28.bias"


# ---------------------------------------------------------------- what not all files have


@pytest.fixture(name="classes", scope="module")
def _classes():
    return np.random.default_rng(5).standard_normal((2048, 1008), np.float32)


def test_classes_of_inception(tmp_path, narrow, classes):
    """The weights of its 1008 outputs, from every form that has them."""
    torch = files.torch_arrays("inception", narrow)
    torch["fc.weight"], torch["fc.bias"] = classes.T.copy(), np.ones(1008, np.float32)
    variables = dict(files.inception_variables(narrow))
    variables["fc/w"] = classes
    graph = files.graph(narrow, classes)
    for data in (
        graph,
        files.tgz(graph),
        files.torch(torch),
        files.pickle(list(variables.items())),
    ):
        path = written(tmp_path / "any.name", data)
        loaded = weights.load("inception_classes", path)
        assert weights.check("inception_classes", path)
        equal(loaded.arrays, {"softmax/weights": classes})
        assert loaded.sha256 == hashlib.sha256(data).hexdigest()
    weights.convert("inception", path, tmp_path / weights.CONVERTED["inception"])
    equal(weights.load("inception", cache_dir=tmp_path).arrays, narrow)
    cached = weights.load("inception_classes", cache_dir=tmp_path)
    equal(cached.arrays, {"softmax/weights": classes})
    assert cached.file == weights.CONVERTED["inception"]


def test_files_without_the_classes(tmp_path, narrow):
    """One line says what has them."""
    variables = dict(files.inception_variables(narrow))
    del variables["fc/w"]
    holders = (
        r"; inception with its 1008 classes is in pt_inception-2015-12-05-6726825d.pth or "
        r"inception-2015-12-05.tgz or inception_v3_softmax.pkl$"
    )
    torch = files.torch_arrays("inception", narrow)
    for data, reason in (
        (files.torch(torch), r"fc.weight is float32 \[2, 1008\], expected .*\[2048, 1008\]"),
        (files.graph(narrow), r"softmax/weights is no float32 \[2048, 1008\], but \[2, 3\]"),
        (files.pickle(list(variables.items())), r"0 arrays of shape \[2048, 1008\], expected one"),
    ):
        path = written(tmp_path / "x", data)
        assert weights.load("inception", path).arrays
        refused("inception_classes", path, reason + holders)
    out = tmp_path / weights.CONVERTED["inception"]
    weights.convert("inception", path, out)
    refused("inception_classes", out, r"softmax/weights is missing" + holders)


def test_dense_layers_of_vgg16(tmp_path, monkeypatch):
    arrays = narrow_vgg16_arrays()
    shapes = {name: array.shape for name, array in arrays.items()}
    dense = {name: shape for name, shape in shapes.items() if name.startswith("fc")}
    trunk = {name: shape for name, shape in shapes.items() if name not in dense}
    monkeypatch.setattr(vgg16, "dense_shapes", lambda: dense)
    monkeypatch.setattr(vgg16, "trunk_shapes", lambda: trunk)
    data = files.torch(files.torch_arrays("vgg16_fc2", arrays))
    path = written(tmp_path / "any.name", data)
    equal(weights.load("vgg16_fc2", path).arrays, arrays)
    assert weights.check("vgg16_fc2", path)
    assert set(weights.load("vgg16", path).arrays) == {*trunk, *vgg16.heads()}

    out = tmp_path / weights.CONVERTED["vgg16"]
    weights.convert("vgg16", path, out)
    holder = r"; vgg16 with its dense layers is in vgg16-397923af.pth$"
    refused("vgg16_fc2", out, r"fc1/weight is missing; fc1/bias is missing; .*" + holder)
    pickle = files.pickle(list(arrays.items()))
    reason = r"a legacy pickle, in which the order of .* rows is unknown"
    refused("vgg16_fc2", written(path, pickle), reason + holder)
    few = files.torch_arrays("vgg16", {name: arrays[name] for name in trunk})
    reason = r"classifier.0.weight is float32 \[3, 4\], expected float32 \[3136, 20\]; classifier.0"
    refused("vgg16_fc2", written(path, files.torch(few)), reason)
    # What has been converted is no weights of the dense layers, but a published file is.
    with pytest.raises(
        UserError, match=r"no weights of vgg16 with its dense layers in .*\.pth"
    ) as e:
        weights.load("vgg16_fc2", cache_dir=tmp_path)
    assert "zhang" not in str(e.value)
    assert "--vgg16_weights" in str(e.value)
    (tmp_path / "vgg16-397923af.pth").write_bytes(data)
    with pytest.raises(UserError, match=r"vgg16-397923af.pth: sha256 .*, but the published file"):
        weights.load("vgg16_fc2", cache_dir=tmp_path)


# ---------------------------------------------------------------- finding


@pytest.mark.parametrize("which", FORMS)
def test_missing(tmp_path, which):
    with pytest.raises(UserError, match=rf"--{which}_weights") as caught:
        weights.load(which, cache_dir=tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(tmp_path) in message
    with pytest.raises(UserError) as caught:
        weights.check(which, cache_dir=tmp_path)
    assert str(caught.value) == message
    for published in weights.PUBLISHED[which]:
        assert published.url in message
        assert published.sha256 in message
    refusal = rf"no such file; --{which}_weights takes a file or an http\(s\) address"
    refused(which, tmp_path / "typo.pth", refusal)
    refused(which, tmp_path, refusal)


@pytest.mark.parametrize("which", FORMS)
def test_another_file_under_a_published_name(tmp_path, which):
    published = weights.PUBLISHED[which][0]
    for name in (published.file, download.resolve(published.url).file):
        path = written(tmp_path / name, b"other")
        refused(which, path, rf"the published file of that name has {published.sha256}")
        with pytest.raises(UserError, match=published.sha256):
            weights.load(which, cache_dir=tmp_path)
        path.unlink()


def test_address(tmp_path, narrow):
    data = FORMS["inception"]["graph"](narrow)
    with bad_server.BadServer() as server:
        url = server.at("/networks/my.pb", bad_server.body(data))
        assert weights.check("inception", url, cache_dir=tmp_path) is False
        assert list(tmp_path.iterdir()) == []
        for _ in range(2):
            loaded = weights.load("inception", url, cache_dir=tmp_path)
        assert weights.check("inception", url, cache_dir=tmp_path)
        assert server.paths() == ["/networks/my.pb"]
        assert loaded.sha256 == hashlib.sha256(data).hexdigest()
        published = weights.PUBLISHED["inception"][0]
        url = server.at(f"/{published.file}", bad_server.body(data))
        with pytest.raises(UserError, match=rf"expected sha256 {published.sha256}"):
            weights.load("inception", url, cache_dir=tmp_path)


# ---------------------------------------------------------------- wrong contents


def changed(arrays, name, change):
    array = arrays[name].copy()
    return {**arrays, name: change(array)}


def first(value):
    def change(array):
        array.flat[0] = value
        return array

    return change


BETA, VARIANCE = "mixed_3/conv/batchnorm/beta", "conv_4/batchnorm/moving_variance"


@pytest.mark.parametrize("form", ["graph", "torch", "pickle"])
def test_values_of_inception(tmp_path, narrow, form):
    for name, value, match in (
        (BETA, np.nan, r"infinite or not a number"),
        (VARIANCE, 0, rf"{VARIANCE} has values that are not above 0"),
    ):
        data = FORMS["inception"][form](changed(narrow, name, first(value)))
        told = form == "pickle"  # whose values tell what its variables are
        refused("inception", written(tmp_path / "x", data), match, header_tells=told)


def test_gamma(tmp_path, narrow):
    two = np.full_like(narrow[BETA], 2)
    found = files.torch_arrays("inception", narrow)
    found["Mixed_6a.branch3x3.bn.weight"] = two
    variables = dict(files.inception_variables(narrow))
    variables["mixed_3/conv/BatchNorm/pop_gamma"] = two
    for data, header_tells in (
        (files.graph(narrow, **{BETA.replace("beta", "gamma"): two}), False),
        (files.torch(found), False),
        (files.pickle(list(variables.items())), True),
    ):
        path = written(tmp_path / "x", data)
        refused("inception", path, r"is not 1 everywhere, so this is not the net", header_tells)


def test_differences_are_listed(tmp_path, narrow, made):
    arrays = dict(list(narrow.items())[:-4])
    del arrays[BETA]
    path = written(tmp_path / "x", files.graph(arrays))
    match = r"mixed_3/conv/batchnorm/beta is missing; mixed_10/.* is missing; .*; 2 more diff"
    refused("inception", path, match)
    arrays[BETA] = narrow[BETA][1:]
    path = written(tmp_path / "x", files.graph(arrays))
    refused("inception", path, rf"constant {BETA} is no float32 \[48\], but \[47\]")
    found = files.torch_arrays("vgg16", made["vgg16"])
    found["features.5.weight"] = found["features.5.weight"].transpose(1, 0, 2, 3).copy()
    del found["features.7.bias"]
    refused(
        "vgg16",
        written(tmp_path / "x", files.torch(found)),
        r"features.5.weight is float32 \[3, 3, 128, 64\], expected float32 \[3, 3, 64, 128\]; "
        r"features.7.bias is missing$",
    )


def test_network_of_imagenet(tmp_path, narrow):
    """torchvision's own Inception has the same names and shapes, but 1000 classes."""
    found = files.torch_arrays("inception", narrow)
    found["fc.weight"] = np.zeros([1000, 2048], np.float32)
    path = written(tmp_path / "x", files.torch(found))
    refused("inception", path, r"fc.weight is \[1000, 2048\], but FID's network has 1008 classes")


def test_converted_by_others(tmp_path, made):
    path = tmp_path / "x.safetensors"
    tensor_file.save(path, made["vgg16"], "another format", {})
    refused("vgg16", path, r"format 'another format'")
    arrays = dict(made["vgg16"])
    del arrays["conv1_1/bias"]
    tensor_file.save(path, arrays, weight_files.FORMAT, {"network": "vgg16"})
    refused("vgg16", path, r"conv1_1/bias is missing$")


# ---------------------------------------------------------------- damaged files


def small_files(which, arrays, path):
    """Each form with only the first variables: small enough to be damaged often."""
    few = dict(list(arrays.items())[:8])
    names = weight_files.torch_names(which)
    found = {names[name]: array for name, array in few.items()}
    tensor_file.save(path, few, weight_files.FORMAT, {"network": which})
    graph = files.graph(few)
    pickle = files.pickle(list(few.items()))
    forms = files.torch(found), files.torch(found, "stream")
    return [graph, files.tgz(graph), pickle, *forms, path.read_bytes()]


@pytest.mark.parametrize("which", FORMS)
def test_damaged_files(tmp_path, made, which):
    """Whatever is in a file, it is a UserError."""
    draw = random.Random(1)
    for data in small_files(which, made[which], tmp_path / "small.safetensors"):
        for _ in range(50):
            damaged = bytearray(data)
            for _ in range(draw.choice([1, 1, 3, 30])):
                place = draw.choice([draw.randrange(len(data)), draw.randrange(300)])
                damaged[place % len(data)] = draw.randrange(256)
            if draw.random() < 0.3:
                del damaged[draw.randrange(len(damaged)) :]
            refused(which, written(tmp_path / "x", bytes(damaged)), r".", header_tells=None)


def test_hostile_graphs(tmp_path):
    name = "conv/conv2d_params"
    kernel = np.zeros([3, 3, 3, 32], np.float32)
    huge = files.node(name, kernel)
    huge.attr["value"].tensor.tensor_shape.dim[0].size = 2**40
    short = files.node(name, kernel)
    short.attr["value"].tensor.tensor_content = b"1234"
    empty = files.node(name, kernel)
    empty.attr["value"].tensor.ClearField("tensor_content")
    whole = files.node(name, kernel.astype(np.int32))
    for node, match in (
        (huge, r"is no float32 \[3, 3, 3, 32\], but \[1099511627776, 3, 3, 32\]"),
        (whole, r"is no float32"),
        (short, r"another number of values"),
        (empty, r"another number of values"),
    ):
        data = node.SerializeToString()
        graph = b"\x0a" + bytes([len(data) & 127 | 128, len(data) >> 7]) + data
        refused("inception", written(tmp_path / "x", graph), match)
        refused("inception", written(tmp_path / "x", files.tgz(graph)), match)
    for data, match in (
        (b"", r"expected weights, but the file is empty"),
        (b"<html>", r"it is an HTML page.*; expected a frozen graph"),
        (b"\x0a\x00" * 100_001, r"expected a frozen graph"),
        (files.tgz(b"", "other.pb"), r"without classify_image_graph_def.pb"),
        (b"\x1f\x8b damaged", r"not a usable .tgz file"),
    ):
        refused("inception", written(tmp_path / "x", data), match)


def test_sizes_in_archives(tmp_path):
    """tarfile itself would read on for hours, or go back and begin anew."""
    for size in (2**60, -1024):
        entry = tarfile.TarInfo("LICENSE")
        entry.size = size
        archive = entry.tobuf(tarfile.GNU_FORMAT) + bytes(10_240)
        path = written(tmp_path / "x", gzip.compress(archive))
        refused("inception", path, r"without classify_image_graph_def.pb, or a damaged one")


def test_a_look_at_weights_takes_little_memory(tmp_path, made):
    """Of VGG16 in PyTorch's form, 59 MB, no array is made."""
    path = written(tmp_path / "x.pth", files.torch(files.torch_arrays("vgg16", made["vgg16"])))
    assert path.stat().st_size > 50e6
    tracemalloc.start()
    try:
        assert weights.check("vgg16", path)
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()


def test_damage_in_what_comes_with_the_package_is_told(tmp_path, monkeypatch, made):
    data = bytearray(vgg16.HEADS.read_bytes())
    data[-1] ^= 1
    monkeypatch.setattr(vgg16, "HEADS", written(tmp_path / "heads.safetensors", data[:-1]))
    path = written(tmp_path / "x", FORMS["vgg16"]["torch"](made["vgg16"]))
    for look in (weights.load, weights.check):
        with pytest.raises(UserError, match=r"heads\.safetensors: .*a part of this package"):
            look("vgg16", path)


def test_archives_that_grow(tmp_path, monkeypatch):
    monkeypatch.setattr(weight_files, "_MAX_UNPACKED", 10_000)
    path = written(tmp_path / "x", files.tgz(bytes(20_000)))
    refused("inception", path, r"unpacks to more than 10,000 bytes")


def test_archives_grow_by_little(tmp_path):
    path = written(tmp_path / "x", gzip.compress(bytes(2**26), 1))
    refused("inception", path, r"unpacks to more than 33,\d{3},\d{3} bytes")


def test_one_value_stands_for_no_large_kernel(tmp_path):
    name = "mixed_10/tower_2/conv/conv2d_params"
    kernel = np.zeros(inception.shapes()[name], np.float32)
    graph = tf.compat.v1.GraphDef(node=[files.node(name, kernel, compact=True)])
    refused("inception", written(tmp_path / "x", graph.SerializeToString()), "another number of")


@pytest.mark.parametrize("network", ["inception", "vgg16"])
def test_a_file_of_another_kind_is_called_what_it_is(network, tmp_path):
    for data, kind in test_file_kinds.KINDS:
        if "PyTorch" not in kind and data and (network == "vgg16" or "gzip" not in kind):
            match = f"it is .*{kind}.*; expected a .*by its content"
            refused(network, written(tmp_path / "x", data), match)
