"""Running `minidl` inside a test: what it says and its exit code. Take the fixture `tiny_runs` with it."""

from minidl import cli
from minidl.ops.compiling import Progress

RUN = ["train", "tiny", "--data", "digits", "--limit", "32", "--batch-size", "8", "--epochs", "2"]


def run(capsys, *arguments, code=0):
    """(stdout, stderr) of the command, once its exit code is right; without the line of kernels that are compiled."""
    assert cli.main(arguments) == code
    out, err = capsys.readouterr()
    return out, err.replace(f"{Progress.LINE}\n", "")


def said_by(capsys, *arguments, code=0):
    """What the command prints: errors on stderr, and nothing there without one."""
    out, err = run(capsys, *arguments, code=code)
    assert bool(err) == (code in (1, 2))
    return err if code in (1, 2) else out
