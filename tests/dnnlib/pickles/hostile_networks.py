"""The part of the hostile corpus whose opcodes are fine and whose networks are not.

The functions return {what: (file, pattern of the reason)}.
"""

from tests.dnnlib.pickles.pickle_assembler import (
    BUILD,
    MARK,
    NEWOBJ,
    NONE,
    TRUE,
    array,
    dtype,
    file,
    get,
    listed,
    many,
    name,
    network,
    number,
    put,
    raw,
    real,
    state,
    table,
    text,
    variables,
    with_option,
    with_weights,
)

# Tables by hand: the formatter would give each case four lines.
# fmt: off


BARE = name("tfutil", "Network") + b")" + NEWOBJ


def structure():
    inside = BARE + put(9) + state(components=table(synthesis=get(9))) + BUILD
    mutual = BARE + put(9)
    part = network(name=text("S"), components=table(back=get(9)))
    mutual += state(components=table(synthesis=part)) + BUILD
    shared = network(name=text("S")) + put(9)
    chain = network()
    for depth in range(4):
        chain = network(name=text(f"N{depth}"), components=table(part=chain))
    crowd = {f"c{i}": network(name=text(f"N{i}"), variables=listed()) for i in range(64)}
    return {
        "a number": (file(number(3)), "where a network is expected"),
        "a dictionary": (file(state()), "where a network is expected"),
        "the class itself": (file(name("tfutil", "Network")), "where a network is expected"),
        "an empty tuple": (file(b")"), "one to three networks"),
        "three times None": (file(many(NONE, NONE, NONE)), "one to three networks"),
        "four networks": (file(many(network(), NONE, NONE, NONE)), "one to three networks"),
        "a list inside the tuple": (file(many(listed(network()))), "where a network is expected"),
        "the tuple in itself": (
            file(b"]" + put(1) + MARK + get(1) + b"e"),
            "where a network is expected",
        ),
        "no state": (file(BARE), "without a state"),
        "network in itself": (file(inside), "inside itself or in two places"),
        "networks in each other": (file(mutual), "inside itself or in two places"),
        "component in two places": (
            file(network(components=table(synthesis=shared, mapping=get(9)))),
            "inside itself or in two places",
        ),
        "component of G at the top": (
            file(many(network(components=table(synthesis=shared)), get(9))),
            "inside itself or in two places",
        ),
        "components 5 deep": (file(chain), "too deep components"),
        "65 networks": (file(network(components=table(**crowd))), "too many networks"),
    }


def names_and_cycles():
    collision = {"synthesis": network(name=text("S"), variables=variables(("w", real(0))))}
    own = variables(("S/w", real(0)))
    return {
        "full name twice": (
            file(network(variables=own, components=table(**collision))),
            "same full name",
        ),
        "component name twice": (
            file(
                network(
                    components=table(
                        a=collision["synthesis"],
                        b=network(name=text("S"), variables=variables(("w", real(1)))),
                    )
                )
            ),
            "same full name",
        ),
        "variable twice": (
            file(network(variables=variables(("w", real(0)), ("w", real(1))))),
            "two variables 'w'",
        ),
        "options in themselves": (
            with_option(b"]" + put(3) + MARK + get(3) + b"e"),
            "too many values, or too deep",
        ),
        "dictionary in itself": (
            with_option(b"}" + put(3) + text("x") + get(3) + b"s"),
            "too many values, or too deep",
        ),
        "variables in themselves": (
            file(network(variables=b"]" + put(3) + MARK + get(3) + b"e")),
            "no pair",
        ),
        "state in itself": (
            file(BARE + b"}" + put(3) + text("version") + get(3) + b"sb"),
            "unknown version",
        ),
    }


def values():
    nan = real(float("nan"))
    five = network(5, output_names=number(1), name=text("G"), input_shapes=array())
    return {
        "version 1": (file(network(1)), "unknown version"),
        "version 6": (file(network(6)), "unknown version"),
        "version True": (
            file(network(version=3, name=text("G")).replace(b"J\x03\0\0\0", TRUE, 1)),
            "unknown version",
        ),
        "no version": (file(network(drop=["version"])), "unknown version"),
        "no variables": (file(network(drop=["variables"])), "lacks 'variables'"),
        "no components": (file(network(drop=["components"])), "lacks 'components'"),
        "components in version 2": (file(network(2, components=table())), "unknown 'components'"),
        "unknown keys": (file(network(hook=NONE, setup=NONE)), "unknown 'hook', 'setup'"),
        "state without text keys": (
            file(name("tfutil", "Network") + b")" + NEWOBJ + b"}b"),
            "unknown version",
        ),
        "version 5's shapes": (file(five), "input_shapes: neither"),
        "name that is a number": (file(network(name=number(1))), "name of a network is not text"),
        "name that is empty": (file(network(name=text(""))), "is empty"),
        "name that is not ASCII": (file(network(name=text("Gä"))), "not plain ASCII"),
        "function that is bytes": (file(network(build_func_name=raw(b"G"))), "is not text"),
        "source that is a number": (file(network(build_module_src=number(1))), "no text"),
        "components as a list": (file(network(components=listed())), "no dictionary"),
        "component that is a dictionary": (
            file(network(components=table(mapping=table()))),
            "where a network is expected",
        ),
        "options as a list": (file(network(static_kwargs=listed())), "no dictionary"),
        "variables as a dictionary": (file(network(variables=table())), "no list"),
        "variable that is no pair": (file(network(variables=listed(text("w")))), "no pair"),
        "variable without a name": (
            file(network(variables=listed(many(NONE, real(0))))),
            "is not text",
        ),
        "variable that is text": (with_weights(text("w")), "is no array"),
        "variable that is True": (with_weights(TRUE), "is no array"),
        "variable that is None": (with_weights(NONE), "is no array"),
        "option NaN": (with_option(nan), "not a number"),
        "option with a long key": (
            with_option(b"}" + text("\1" * 500) + nan + b"s"),
            "not a number",
        ),
        "option deep inside NaN": (with_option(listed(table(a=many(nan)))), "not a number"),
        "option that is bytes": (with_option(raw(b"x")), "is not text"),
        "option that is an array": (with_option(array()), "neither a number"),
        "option that is a network": (with_option(network()), "neither a number"),
        "option that is a class": (with_option(name("numpy", "ndarray")), "neither a number"),
        "option that is a dtype": (with_option(dtype()), "neither a number"),
    }
