"""The command line as a user meets it: exit codes and messages.

Each process start costs a second or more, so that the cases share a few; the logic is tested in
tests/training/test_runs.py and test_starting.py.
"""

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import run_training
from dnnlib import run_dirs
from dnnlib.errors import UserError

ROOT = Path(__file__).resolve().parents[1]

# Runs several command lines in one process and tells what each did.
MANY = """
import contextlib, io, json, sys
import run_training

for argv in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_training.main(["run_training.py", *argv])
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
print(json.dumps(sorted(m for m in sys.modules if m.split(".")[0] in ("tensorflow", "keras"))))
"""


def python(*args, cwd, **env):
    full_env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    full_env.pop("TF_CONFIG", None)
    return subprocess.run(
        [sys.executable, *args], cwd=cwd, env=full_env, capture_output=True, text=True, timeout=300
    )


def test_mistakes_cost_one_line_and_exit_code_2(tmp_path):
    done = python(
        str(ROOT / "run_training.py"), "--preset=ffhq-9gpu", "--dataset=synthetic", cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "run_training.py: error: unknown preset 'ffhq-9gpu' (did you mean 'ffhq-8gpu'?)\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_many_command_lines_without_tensorflow(tmp_path):
    synthetic = "--dataset=synthetic-32"
    mistakes = {
        ("--preset=demoo",): "unknown preset 'demoo' (did you mean 'demo'?)",
        (synthetic, "--set", "G.fmap_maxx=3"): "G.fmap_maxx: G_main has no such option",
        (synthetic, "--set=schedule.lod=3"): "unknown key 'schedule.lod'",
        (synthetic, "--set", "seed"): "expected key=value",
        (synthetic, "--total_kimg=0"): "total_kimg=0.0: expected more than 0",
        (synthetic, "--precision=half"): "precision='half': expected one of",
        ("--preset=ffhq-8gpu",): "ffhq",
        ("--preset=ffhq-8gpu", "--dataset=synthetic-4"): "larger than the data set's 4x4",
        ("--sead=3",): "'sead'. Did you mean: seed",
        ("--seed=x",): "--seed=x",
        ("seed=3",): "unexpected argument 'seed=3'",
        ("--resume=latest",): "no runs in results",
        ("--resume_from=nothing.safetensors", synthetic): "no file",
        ("--run_dir=",): "--run_dir is empty",
    }
    tells = {
        ("--help",): "--run_dir=DIR",
        ("-h",): "examples:",
        ("--list_presets",): "demo\ndemo-stylegan\ndemo-stylegan2\nffhq-1gpu\n",
        (synthetic, "--dry_run", "--seed=77"): "seed                            = 77",
        ("--preset=car-8gpu", "--dataset=synthetic-512", "--dry_run"): "512x512",
    }
    lines = [list(argv) for argv in (*mistakes, *tells)]
    done = python("-c", MANY, json.dumps(lines), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    *results, heavy_modules = map(json.loads, done.stdout.splitlines())
    for (argv, words), (code, out, err) in zip(mistakes.items(), results):
        assert (code, out) == (2, ""), argv
        assert err.startswith("run_training.py: error: "), argv
        assert err.count("\n") == 1, argv
        assert words in err, argv
    for (argv, words), (code, out, err) in zip(tells.items(), results[len(mistakes) :]):
        assert (code, err) == (0, ""), argv
        assert words in out, argv
    # Not one of them started TensorFlow or made anything.
    assert heavy_modules == []
    assert list(tmp_path.iterdir()) == []


def test_help_has_our_flags_only_and_fits_a_terminal():
    text = run_training.PROGRAM.help()
    flags = [f"--{item.name}" for item in run_training.PROGRAM.commands["train"].flags]
    listed = [line.split()[0].split("=")[0] for line in text.splitlines() if line[:4] == "  --"]
    assert listed == flags
    assert max(map(len, text.splitlines())) <= 100


def test_a_started_run_hands_over_to_the_loop(tmp_path, monkeypatch, capsys):
    calls, log_levels = [], []

    def train(config, *, run_dir, resume_from, make_evaluator, parts, dataset_info, locked):
        assert locked
        with pytest.raises(UserError, match="another process is training"), run_dirs.lock(run_dir):
            pass  # no moment in which another process could come between
        assert make_evaluator is None  # no metrics were asked for
        assert parts.D["resolution"] == dataset_info.resolution == 32
        calls.append((config.seed, str(run_dir), resume_from, (run_dir / "config.json").exists()))
        log_levels.append(os.environ["TF_CPP_MIN_LOG_LEVEL"])
        return 143

    loop = types.ModuleType("training.loop")
    loop.train = train
    monkeypatch.setitem(sys.modules, "training.loop", loop)
    monkeypatch.setattr("training.loop", loop, raising=False)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    argv = ["run_training.py", "--dataset=synthetic-32", "--seed=5"]
    assert run_training.main(argv) == 143
    assert calls == [(5, "results/00000-demo", None, True)]
    assert "Writing to results/00000-demo" in capsys.readouterr().out
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    assert run_training.main(["run_training.py", "--resume=0", "--total_kimg=1000"]) == 143
    out = capsys.readouterr().out
    assert "Continuing results/00000-demo" in out
    assert "Changed for this run: total_kimg: " in out
    assert log_levels == ["3", "0"]  # TensorFlow is quiet, unless the user says otherwise


def test_ctrl_c_before_training_is_quiet(monkeypatch, capsys):
    def interrupt(name, args):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_training, "_run", interrupt)
    assert run_training.main(["run_training.py"]) == 130
    assert capsys.readouterr().err == ""
