"""TensorFlow says nothing on stderr that the user did not ask for; errors of ours stay."""

import os
import subprocess
import sys

import pytest

from dnnlib import errors, quiet

pytestmark = pytest.mark.conformance


def said(code, **environment):
    env = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**env, **environment},
        text=True,
        check=True,
        capture_output=True,
        cwd=os.path.dirname(os.path.dirname(quiet.__file__)),
    )
    return result.stderr


def test_importing_tensorflow():
    code = (
        "from dnnlib import quiet; tf = quiet.import_tensorflow(); tf.zeros([1])\n"
        "import sys; print('ours', file=sys.stderr)"
    )
    assert said(code) == "ours\n"
    loud = said(code, TF_CPP_MIN_LOG_LEVEL="0")
    assert loud.endswith("ours\n")
    assert loud.count("\n") > 1


def test_stderr_comes_back_after_an_error(capfd):
    def fail():
        os.write(2, b"unseen")
        raise ValueError("seen")

    with pytest.raises(ValueError, match="seen"), quiet.without_stderr():
        fail()
    os.write(2, b"afterwards")
    assert capfd.readouterr().err == "afterwards"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.UserError("two\nlines"), "two lines"),
        (MemoryError("Unable to allocate 9 TiB"), "Unable to allocate 9 TiB"),
        (MemoryError(), "out of memory"),
        (FileNotFoundError(2, "No such file", "x"), "[Errno 2] No such file: 'x'"),
    ],
)
def test_what_is_no_bug_is_one_line(error, message, capsys):
    def run(argv):
        raise error

    assert errors.exit_code(run, ["/bin/tool.py"]) == 2
    assert capsys.readouterr().err == f"tool.py: error: {message}\n"
