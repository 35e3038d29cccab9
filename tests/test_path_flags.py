"""`~` in every flag of the four programs that takes a path."""

import pytest

import dataset_tool
import run_generator
import run_metrics
import run_training

# All flags that are, or may be, a path; the values of others are no paths.
PATHS = {
    run_training: "dataset data_dir resume_from result_dir run_dir resume fork",
    run_generator: (
        "network cache_dir latents out target vgg16_weights video directions classifiers plan "
        "projected runtime"
    ),
    run_metrics: (
        "network run_dir result_dir dataset data_dir classifiers inception_weights vgg16_weights "
        "cache_dir out"
    ),
    dataset_tool: "source out dataset other",
}
FLAGS = [
    (program, name, item)
    for program in PATHS
    for name, command in program.PROGRAM.commands.items()
    for item in command.flags
]
TAKEN = [
    pytest.param(program, name, item.name, id=f"{program.__name__}-{name}-{item.name}")
    for program, name, item in FLAGS
    if item.name in PATHS[program].split()
]


def parsed(program, name, *args):
    """{flag: value} as the program's work gets it."""
    values = {}

    def work(command, args):
        assert command == name
        values.update(args)
        return 0

    commands = program.PROGRAM.commands
    needed = [f"--{item.name}=x" for item in commands[name].flags if item.needed]
    argv = [program.__name__, *([name] if len(commands) > 1 else []), *needed, *args]
    assert program.PROGRAM.run(argv, work) == 0
    return values


@pytest.mark.parametrize(("program", "name", "flag"), TAKEN)
def test_home_directories_are_put_in(program, name, flag, monkeypatch):
    def value(*args):
        taken = parsed(program, name, *args)[flag]
        return taken[-1] if isinstance(taken, list) else taken  # of one that may come again

    monkeypatch.setenv("HOME", "/home/me")
    assert value(f"--{flag}=~/x/y") == "/home/me/x/y"
    assert value(f"--{flag}", "~") == "/home/me"
    for text in ("x/~/y", "latest", "https://a.org/~me/x.pkl"):
        assert value(f"--{flag}={text}") == text


def test_in_lists_of_paths(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    values = parsed(run_metrics, "evaluate", "--classifiers=~/a, b,https://a.org/~me/c")
    assert values["classifiers"] == "/home/me/a,b,https://a.org/~me/c"


def test_the_table_above_has_all():
    listed = {(program, flag) for program, names in PATHS.items() for flag in names.split()}
    taken = {(program, item.name) for program, _, item in FLAGS if item.shown in ("FILE", "DIR")}
    taken |= {(program, item.name) for program, _, item in FLAGS if item.shown in ("PATH", "RUN")}
    assert taken <= listed <= {(program, item.name) for program, _, item in FLAGS}
