"""State dicts as torch.save writes them."""

import collections
import re
import zipfile

import numpy as np
import pytest

from dnnlib.pickles import torch_file
from dnnlib.pickles.torch_file import TorchFileError
from tests.dnnlib.pickles import pickle_assembler as assembler, torch_writer as writer
from tests.dnnlib.pickles.pickle_assembler import (
    BUILD,
    NEWOBJ,
    NONE,
    TRUE,
    call,
    listed,
    many,
    name,
    number,
    string,
    table,
)
from tests.dnnlib.pickles.torch_writer import FORMATS, Reduced, Storage, identity, rebuilt, tensor


def expect(arrays, expected):
    assert list(arrays) == list(expected)
    for key, values in expected.items():
        found = arrays[key]
        assert type(found) is np.ndarray
        assert found.dtype == values.dtype
        assert found.dtype.byteorder in "=|"
        assert found.flags.c_contiguous
        assert found.flags.writeable
        np.testing.assert_array_equal(found, values)


# ---------------------------------------------------------------- files that are read


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("format", FORMATS)
def test_every_number_type(format, protocol):
    kinds = [np.dtype(kind) for kind in ("f2", "f4", "f8", "u1", "i1", "i2", "i4", "i8")]
    expected = {f"{kind}.weight": np.arange(12).astype(kind) for kind in kinds}
    expected["num_batches_tracked"] = np.array(2**40)
    storages = {key: Storage(key, values.reshape(-1)) for key, values in expected.items()}
    state_dict = collections.OrderedDict(
        (key, tensor(storages[key], storages[key].values.reshape(values.shape)))
        for key, values in expected.items()
    )
    data = writer.saved(state_dict, storages.values(), format, protocol)
    expect(torch_file.read(data), expected)
    expect(torch_file.read(memoryview(data)), expected)


@pytest.mark.parametrize("format", FORMATS)
def test_bfloat16_becomes_float32(format):
    values = np.array([[1.0, -2.5, 3e38], [0.0, np.inf, -(2.0**-126)]], np.float32)
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    storage = Storage("7", bits.reshape(-1))
    exact = (bits.astype(np.uint32) << 16).view(np.float32)
    state_dict = {"w": tensor(storage, bits), "turned": tensor(storage, bits.T)}
    expect(
        torch_file.read(writer.saved(state_dict, [storage], format)),
        {"w": exact, "turned": exact.T},
    )


@pytest.mark.parametrize("format", FORMATS)
def test_views_of_one_storage(format):
    storage = Storage("0", np.arange(120, dtype=np.float32))
    whole = storage.values.reshape(2, 3, 4, 5)
    expected = {
        "all": whole,
        "transposed": whole.reshape(10, 12).T,
        "channels last": whole.transpose(0, 3, 1, 2),
        "reversed": whole.transpose(3, 2, 1, 0),
        "rows": whole.reshape(10, 12)[3:7],
        "turned rows": whole[1, 1:].transpose(2, 0, 1),
        "one": whole[1, 2, 3, 4, ...],
        "length 1": whole[:1, 1:2, 2:3].transpose(3, 1, 0, 2),
    }
    state_dict = {key: tensor(storage, view) for key, view in expected.items()}
    many_bytes = Storage("1", np.zeros(100, np.uint8))
    state_dict["bytes"] = tensor(many_bytes)
    expected["bytes"] = many_bytes.values
    arrays = torch_file.read(writer.saved(state_dict, [storage, many_bytes], format))
    expect(arrays, expected)
    arrays["all"][:] = 0
    assert arrays["rows"].all()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("format", FORMATS)
def test_parameters_of_every_generation(format, version):
    storage = Storage("94052288", np.arange(6, dtype=np.float32))
    inner = tensor(storage, storage.values.reshape(2, 3), version)
    hooks = collections.OrderedDict()
    state_dict = collections.OrderedDict(
        # 0.1 to 0.3: requires_grad, volatile and hooks follow.
        called=Reduced("Parameter", (inner,), (True, False, None)),
        # Before that everything followed.
        built=Reduced("Parameter", (), (inner, None, hooks, True, False)),
        rebuilt=Reduced("_rebuild_parameter", (inner, True, hooks)),
        plain=inner,
    )
    data = writer.saved(state_dict, [storage], format)
    expect(torch_file.read(data), dict.fromkeys(state_dict, storage.values.reshape(2, 3)))


@pytest.mark.parametrize("format", FORMATS)
def test_parameters_and_sizes_by_newobj(format):
    made = writer.PARAMETER + many(rebuilt()) + NEWOBJ + many(TRUE, TRUE, NONE) + BUILD
    empty = writer.PARAMETER + b")" + NEWOBJ + many(rebuilt(), NONE, NONE, TRUE, TRUE) + BUILD
    size = name("torch", "Size") + many(assembler.shape_of(3, 2)) + NEWOBJ
    rebuild = name("torch._utils", "_rebuild_tensor")
    sized = call(rebuild, identity(), number(0), size, many(number(1), number(3)))
    data = writer.file(table(made=made, empty=empty, sized=sized), format)
    values = writer.VALUES.reshape(2, 3)
    expect(torch_file.read(data), {"made": values, "empty": values, "sized": values.T})


@pytest.mark.parametrize("format", FORMATS)
def test_written_by_python_2_with_metadata(format):
    """Items are an argument of OrderedDict, text is str, and BUILD sets _metadata."""
    storage = many(string(b"storage"), writer.FLOATS, string(b"0"), string(b"cuda:0"), number(6))
    pairs = [listed(string(key), rebuilt(storage + b"Q")) for key in (b"b.weight", b"a.weight")]
    module = listed(string(b""), table(version=number(1)))
    state = b"}" + string(b"_metadata") + call(writer.ORDERED, listed(module)) + b"s"
    data = writer.file(call(writer.ORDERED, listed(*pairs)) + state + BUILD, format)
    values = writer.VALUES.reshape(2, 3)
    expect(torch_file.read(data), {"b.weight": values, "a.weight": values})


@pytest.mark.parametrize("format", FORMATS)
def test_metadata_of_python_3(format):
    class WithMetadata(collections.OrderedDict):
        def __reduce_ex__(self, protocol):
            items = iter(self.items())
            return collections.OrderedDict, (), {"_metadata": {"": {"version": 1}}}, None, items

    storage = Storage("0", np.arange(3, dtype=np.float32))
    data = writer.saved(WithMetadata(w=tensor(storage)), [storage], format)
    expect(torch_file.read(data), {"w": storage.values})


@pytest.mark.parametrize("format", FORMATS)
def test_empty_and_unused(format):
    assert torch_file.read(writer.file(b"}", format)) == {}


def test_archives_may_lack_the_byte_order_and_have_any_directory():
    state_dict = writer.pickled({})
    data = writer.archive(state_dict, {"unused": np.zeros(3)}, top="ünï code", byteorder=None)
    assert torch_file.read(data) == {}


@pytest.mark.parametrize("format", FORMATS)
def test_is_torch(tmp_path, format):
    path = tmp_path / "weights.pth"
    data = writer.file(table(w=rebuilt()), format)
    others = [b"", b"PK\3\4", data[:14], b"\x80\x02" + data, assembler.BENIGN["version 3"]]
    for contents, expected in ((data, True), *((other, False) for other in others)):
        path.write_bytes(contents)
        assert torch_file.is_torch(path) is expected
        assert torch_file.is_torch(str(path)) is expected
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data/data.txt", data)
    assert not torch_file.is_torch(path)
    with pytest.raises(FileNotFoundError):
        torch_file.is_torch(tmp_path / "absent")


def test_sha256():
    data = writer.file(table(w=rebuilt()), "stream")
    with pytest.raises(TorchFileError, match=r"SHA-256 is [0-9a-f]{64}, expected 00$") as caught:
        torch_file.read(data, sha256="00")
    digest = re.search(r"[0-9a-f]{64}", str(caught.value))[0]
    assert list(torch_file.read(data, sha256=digest.upper())) == ["w"]
