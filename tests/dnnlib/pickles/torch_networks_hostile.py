"""The corpus of PyTorch network pickles that must be refused: {what: (file, pattern of reason)}."""

import numpy as np

from tests.dnnlib.pickles.pickle_assembler import (
    BUILD,
    FALSE,
    NDARRAY,
    NEWOBJ,
    NONE,
    SCALAR,
    SHELL,
    TRUE,
    array,
    call,
    dtype,
    file,
    get,
    listed,
    many,
    name,
    number,
    put,
    raw,
    real,
    stacked,
    table,
    text,
)
from tests.dnnlib.pickles.torch_networks_assembler import (
    LOAD,
    ORDERED,
    PARAMETER,
    PERSISTENT,
    REBUILD,
    filled,
    generator,
    networks,
    parameter,
    persistent,
    pipe,
    state,
    stream,
    tensor,
    with_attribute,
    with_module,
    with_stream,
    with_tensor,
)
from tests.dnnlib.pickles.torch_writer import identity

NOT_ALLOWED = "is not allowed"


def corpus():
    return {**_code(), **_roots(), **_modules(), **_tensors(), **_streams(), **_bombs()}


# Tables by hand: the formatter would give each case four lines.
# fmt: off


def _code():
    """Files that would run something when unpickled."""
    hooked = state(_forward_hooks=filled({"x": NONE}))
    callables = "os.system posix.system builtins.eval builtins.exec builtins.getattr"
    callables += " subprocess.Popen torch.load torch.hub.load builtins.frozenset"
    callables += " torch.storage._load_from_bytes_ torch_utils.persistence.import_hook"
    cases = {}
    for path in callables.split():
        module, attribute = path.rsplit(".", 1)
        for kind, named in (("GLOBAL", name), ("STACK_GLOBAL", stacked)):
            cases[f"{kind} {path}"] = (with_attribute(call(named(module, attribute), text("1+1"))),
                                       NOT_ALLOWED)
    return {
        **cases,
        "a root": (file(SHELL, 3), "neither a dictionary|os.system' is not allowed"),
        "in a dictionary": (networks(G=SHELL), "os.system' is not allowed"),
        "a hook": (with_module(persistent(own=hooked)), "hooks' of .* is not empty, which is code"),
        "a hook of a tensor": (with_tensor(tensor(hooks=filled({"0": NONE}))), "hooks, which are"),
        "hooks that are no dictionary": (with_tensor(tensor(hooks=NONE)), "with hooks, which are"),
        "dotted": (with_attribute(name("torch_utils", "persistence._reconstruct_persistent_obj")),
                   NOT_ALLOWED),
        "the source's module": (with_attribute(name("training.networks", "Generator")),
                                "without torch_utils.persistence"),
        "a module of PyTorch": (with_attribute(name("torch.nn.modules.linear", "Linear")),
                                "without torch_utils.persistence"),
        "TensorFlow's": (networks(G=name("dnnlib.tflib.network", "Network")), "a TensorFlow netw"),
        "INST": (networks(G=b"(ios\nsystem\n"), "opcode INST"),
        "OBJ": (networks(G=b"(" + NDARRAY + b"o"), "opcode OBJ"),
        "NEWOBJ_EX": (networks(G=NDARRAY + b")}\x92"), "opcode NEWOBJ_EX"),
        "BINPERSID": (networks(G=text("x") + b"Q"), "opcode BINPERSID"),
        "EXT1": (networks(G=b"\x82\x01"), "opcode EXT1"),
        "ADDITEMS": (with_attribute(b"\x8f(K\x01\x90"), "opcode ADDITEMS"),
        "a module is built": (networks(G=generator() + table() + BUILD), "BUILD for an object"),
        "a dictionary is built": (networks(G=b"}}" + BUILD), "BUILD for an object that is neither"),
        "a module is created": (networks(G=PERSISTENT + b")" + NEWOBJ), "created in an unknown"),
        "EasyDict of a list": (
            with_attribute(name("dnnlib", "EasyDict") + many(b"]") + NEWOBJ), "created in an un"),
        "OrderedDict of pairs": (with_attribute(call(name("collections", "OrderedDict"), b"]")),
                                 "called in an unknown way"),
        "a set": (with_attribute(call(name("builtins", "set"), listed(NONE))), "that is not empty"),
    }


def _roots():
    return {
        "nothing": (file(b"}", 3), "without G_ema, G and D; it has nothing"),
        "another's": (file(table(g_ema=table(), args=NONE), 3), "it has 'g_ema', 'args'"),
        "all None": (networks(G=NONE, D=NONE, G_ema=NONE), "without G_ema, G and D; it has 'G'"),
        "a list": (file(listed(generator()), 3), "neither a dictionary nor a network"),
        "a number as G": (networks(G=number(1)), "G is no network"),
        "a dictionary as G_ema": (networks(G_ema=table()), "G_ema is no network"),
        "a pipe of text": (networks(G=generator(), augment_pipe=text("x")), "pipe is no network"),
        "facts of text": (networks(G=generator(), training_set_kwargs=text("x")), "no dictionary"),
        "facts that are NaN": (networks(G=generator(), training_set_kwargs=table(
            x=real(float("nan")))), "not a number"),
        "an unknown tensor": (networks(G=generator(), more=tensor()), "unknown entry 'more'"),
        "an unknown network": (networks(G=generator(), H=generator()), "the unknown entry 'H'"),
        "a key twice": (file(b"}(" + 2 * (text("G") + NONE) + b"u", 3), "the key 'G' twice"),
        "a number as a key": (file(b"}" + number(1) + generator() + b"s", 3), "key is not text"),
        "bytes after it": (networks() + b"N.", "2 bytes after its end"),
        "another class": (networks(D=generator()), "D: a 'Generator', not StyleGAN2-ADA's Discri"),
        "an extension": (with_module(persistent("MyLayer")), "G: with modules 'MyLayer', somebody"),
        "StyleGAN3": (networks(G=generator(synthesis=persistent("SynthesisNetwork", state(
            modules={"L0_36_512": persistent("SynthesisLayer")})))), "G: a StyleGAN3 generator"),
        "StyleGAN3's input": (networks(G_ema=generator(synthesis=persistent(
            "SynthesisNetwork", state(modules={"input": NONE})))), "G_ema: a StyleGAN3 generator"),
    }


def _modules():
    again = persistent() + put(9)
    loop = ORDERED + put(8) + b"(" + text("x") + persistent(own=state(_modules=get(8))) + b"u"
    deep = persistent()
    for _ in range(8):
        deep = persistent(own=state(modules={"x": deep}))
    return {
        "version 5": (with_module(persistent(version=number(5))), "of version 5; 6 is known"),
        "version True": (with_module(persistent(version=TRUE)), "version that is no number"),
        "version text": (with_module(persistent(version=text("6"))), "version that is no number"),
        "a function": (with_module(persistent(type=text("function"))), "of an unknown kind, with"),
        "a missing key": (with_module(persistent(drop=("state",))), "of an unknown kind, with"),
        "a further key": (with_module(persistent(more=NONE)), "of an unknown kind, with the keys"),
        "source bytes": (with_module(persistent(module_src=raw(b"x"))), "module_src .* is no text"),
        "class of number": (with_module(persistent(class_name=number(1))), "is not text"),
        "state of a list": (with_module(persistent(own=b"]")), "state of .* is no dictionary"),
        "arguments": (networks(G=call(PERSISTENT, table(), NONE)), "called in an unknown way"),
        "a list as meta": (networks(G=call(PERSISTENT, b"]")), "something that is no dictionary"),
        "no parameters": (with_module(persistent(own=state(drop=("_parameters",)))),
                          "_parameters of .* are no dictionary"),
        "buffers as a list": (with_module(persistent(own=state(_buffers=b"]"))), "_buffers of"),
        "modules as None": (with_module(persistent(own=state(_modules=NONE))), "_modules of"),
        "module that is a tensor": (with_module(tensor()), "'G.mapping' is no module"),
        "module that is a number": (with_module(number(3)), "'G.mapping' is no module"),
        "a dotted name": (with_module(persistent(own=state({"a.b": parameter()}))), "impossible n"),
        "an empty name": (with_module(persistent(own=state({"": parameter()}))), "impossible name"),
        "a long name": (with_module(persistent(own=state({65 * "x": parameter()}))), "impossible"),
        "two of a name": (with_module(persistent(own=state({"w": parameter()}, {"w": tensor()}))),
                          "two attributes of one name"),
        "a number beside": (with_module(persistent(own=state({"w": parameter()}, w=number(1)))),
                            "two attributes of one name"),
        "in two places": (networks(G=persistent("Generator", state(
            modules={"a": again, "b": get(9)}))), "inside itself or in two places"),
        "in two networks": (networks(G=generator(mapping=again), G_ema=generator(mapping=get(9))),
                            "inside itself or in two places"),
        "inside itself": (networks(G=persistent("Generator", state(_modules=loop))),
                          "inside itself or in two places"),
        "nine deep": (networks(G=persistent("Generator", state(modules={"x": deep}))), "too deep"),
        "args of a number": (with_module(persistent(own=state(_init_args=NONE))), "_init_args of"),
        "kwargs of a list": (with_module(persistent(own=state(_init_kwargs=b"]"))), "_init_kwargs"),
        "unknown of its own": (with_module(persistent(own=state(_x=text("y")))), "is not empty"),
        "set of its own": (with_module(persistent(own=state(_x=listed(NONE)))), "is not empty"),
        "attribute bytes": (with_attribute(raw(b"x")), "is not text"),
        "attribute array": (with_attribute(array()), "neither a number, text, a list"),
        "attribute tensor": (with_attribute(tensor()), "neither a number, text, a list"),
        "attribute module": (with_attribute(persistent()), "neither a number, text, a list"),
        "attribute class": (with_attribute(NDARRAY), "neither a number, text, a list"),
        "attribute set": (with_attribute(b"\x8f"), "neither a number, text, a list"),
        "attribute NaN": (with_attribute(real(float("nan"))), "infinite or not a number"),
        "attribute infinite": (with_attribute(call(SCALAR, dtype("f8"), raw(
            np.float64("inf").tobytes()))), "infinite or not a number"),
        "attribute of objects": (with_attribute(call(SCALAR, dtype("O8", "|"), raw(bytes(8)))),
                                 "plain numbers"),
        "attribute in itself": (with_attribute(b"]" + put(3) + get(3) + b"a"), "too deep"),
    }


def _tensors():
    def strided(shape, strides, start=0):
        return with_tensor(tensor(shape=shape, strides=strides, start=start))

    gaps, beyond = "has gaps or overlaps", "goes beyond its storage"
    return {
        "no tensor": (with_tensor(number(3)), "'G.w' is none"),
        "a parameter as a buffer": (with_tensor(parameter()), "'G.w' is none"),
        "a buffer as a parameter": (
            networks(G=persistent("Generator", state({"w": tensor()}))), "parameter 'G.w' is none"),
        "a number as a parameter": (
            networks(G=persistent("Generator", state({"w": number(1)}))), "'G.w' is none"),
        "a parameter of None": (with_tensor(call(PARAMETER, NONE, TRUE, ORDERED)), "is no tensor"),
        "a parameter's grad": (
            with_tensor(call(PARAMETER, tensor(), NONE, ORDERED)), "requires_grad is neither"),
        "no storage": (with_tensor(tensor(NONE)), "without a storage"),
        "bytes as a storage": (with_tensor(tensor(raw(stream()))), "without a storage"),
        "text as bytes": (with_tensor(tensor(call(LOAD, text("x")))), "something that is no bytes"),
        "metadata": (with_tensor(tensor(more=[table(x=NONE)])), "a tensor with metadata"),
        "a list as metadata": (with_tensor(tensor(more=[b"]"])), "a tensor with metadata"),
        "eight arguments": (with_tensor(tensor(more=[b"}", b"}"])), "called in an unknown way"),
        "few arguments": (with_tensor(call(REBUILD, NONE, NONE)), "called in an unknown way"),
        "strides missing": (strided((2, 2), (1,)), "other numbers of dimensions"),
        "a list as a shape": (with_tensor(call(REBUILD, call(LOAD, raw(stream())), number(0), b"]",
                                               b")", FALSE, ORDERED)), "is not a tuple"),
        "nine dimensions": (strided((1,) * 9, (1,) * 9), "up to 8 dimensions"),
        "a dimension of 0": (strided((0,), (1,)), "no valid number"),
        "a negative stride": (strided((4,), (-1,), 3), "no valid number"),
        "a huge dimension": (strided((2**62,), (1,)), "no valid number"),
        "too many numbers": (strided((5,), (1,)), beyond),
        "far too many": (strided((2**39,), (1,)), beyond),
        "beyond by one": (strided((4,), (1,), 1), beyond),
        "far beyond": (strided((1,), (1,), 2**39), beyond),
        "expanded": (strided((2**35,), (0,)), gaps),
        "overlapping": (strided((2, 2), (1, 1)), gaps),
        "every other": (strided((2,), (2,)), gaps),
        "channels last, a gap": (strided((1, 2, 1, 2), (9, 1, 9, 3)), gaps),
        "NaN": (with_stream(stream([0, 0, float("nan"), 0])), "infinite or not a number"),
        "infinite": (with_stream(stream([0, 0, 0, float("-inf")])), "infinite or not a number"),
        "p of a pipe NaN": (networks(G=generator(), augment_pipe=pipe(float("nan"))), "not a numb"),
    }


def _streams():
    good = stream()

    def rooted(root, **more):
        return with_stream(stream(root=root, **more))

    older = "not PyTorch's older format"
    return {
        "empty": (with_stream(b""), older),
        "a ZIP": (with_stream(b"PK\3\4" + bytes(100)), "is a ZIP file, " + older),
        "zeros": (with_stream(bytes(500)), older),
        "another version": (with_stream(good.replace(b"M\xe9\x03", b"M\xe8\x03")), "than 1001"),
        "big-endian": (with_stream(stream(system={"little_endian": False})), "little-endian"),
        "no system": (with_stream(stream(system=[])), "little-endian"),
        "a call": (rooted(SHELL), "os.system' is not allowed"),
        "eval as a type": (rooted(identity(name("builtins", "eval"))), NOT_ALLOWED),
        "a state dict": (rooted(table(w=identity(count=4))), "another thing than a storage"),
        "a number": (with_stream(stream((), number(4), ())[:-8]), "another thing than a storage"),
        "double": (rooted(identity(name("torch", "DoubleStorage"), 2), count=2), "not float32"),
        "half": (rooted(identity(name("torch", "HalfStorage"), 8), count=8), "not float32"),
        "a view": (rooted(identity(count=4, more=[many(text("1"), number(0))])), "unknown form"),
        "two storages": (rooted(many(identity(count=4), identity(count=4, key="1"))),
                         "another thing than a storage"),
        "no keys": (with_stream(stream(keys=())), "after the last storage"),
        "a key twice": (with_stream(stream(keys=("0", "0"))), "comes twice"),
        "another key": (with_stream(stream(keys=("1",))), "unknown or comes twice"),
        "another count": (with_stream(stream(count=3)), "another size than expected"),
        "a negative count": (with_stream(stream(count=-1)), "another size than expected"),
        "a huge count": (rooted(identity(count=2**61), count=2**61), "ends inside the storage"),
        "too short": (with_stream(good[:-1]), "ends inside the storage"),
        "too long": (with_stream(good + b"\0"), "1 bytes after the last storage"),
        "twice": (with_stream(good + good), "bytes after the last storage"),
        "many opcodes": (rooted(101 * b"N"), "more than 100 opcodes"),
    }


def _bombs():
    shared = call(LOAD, raw(stream(np.zeros(10**6)))) + put(5)
    million = (10**6,), (1,)
    many_views = {"w0": tensor(shared, *million)}
    many_views.update({f"w{i}": tensor(get(5), *million) for i in range(1, 9)})
    crowd = {f"m{i}": persistent() for i in range(3_000)}
    tensors = {f"w{i}": get(6) for i in range(1, 5_001)}
    wide = b"](" + b"K\x01" * 40_000 + b"e"
    return {
        "nine tensors of the same bytes": (
            networks(G=persistent("Generator", state(buffers=many_views))), "far more room"),
        "5,001 tensors": (networks(G=persistent("Generator", state(
            buffers={"w0": tensor() + put(6), **tensors}))), "more than 5,000 tensors"),
        "3,001 modules": (networks(G=persistent("Generator", state(modules=crowd))),
                          "more than 100,000 opcodes|too many modules"),
        "a long source": (with_module(persistent(module_src=text("#" * (4 * 2**20 + 1)))),
                          "module_src of more than"),
        "a long class": (with_module(persistent(501 * "x")), "has more than 500 characters"),
        "values": (with_attribute(listed(wide + put(7), get(7), get(7))), "too many values"),
        "a deep list": (with_attribute(b"]" * 1000 + b"a" * 999), "too deep"),
        "endless opcodes": (networks(G=NONE * 300_000), "more than 100,000 opcodes"),
        "a length": (networks(G=b"B\xff\xff\xff\x7f"), "ends inside an opcode, or a length"),
    }


# fmt: on
