"""A run folder has one owner. Real processes: two writers, readers beside a writer, an owner that is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import tiny_command
from command_line import RUN, said_by
from filelock import FileLock
from kill_campaign import campaign

from minidl.training.checkpoint import replace_file
from minidl.training.run_folder import RunFolder
from minidl.training.run_owner import InUseError, owner_of

LONG = ["train", "tiny", "--data", "digits", "--limit", "64", "--batch-size", "8", "--epochs", "500", "--out"]
SLOW = pytest.mark.slow
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and permissions of POSIX")


def start(*arguments, send="SIGINT 0", checkpoint_every=0.0, **options):
    """The command as a process; the run folder comes last. Its output is a file: a pipe would be full one day."""
    settings = {"SIGNAL": send, "CHECKPOINT_EVERY": str(checkpoint_every), "NUMBA_NUM_THREADS": "1"}
    with Path(f"{arguments[-1]}.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-u", tiny_command.__file__, *map(str, arguments)],
            env={**os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT, **options,
        )  # fmt: skip


def ended(process):
    """What the process has said, once it is over."""
    process.wait(timeout=60)
    return Path(f"{process.args[-1]}.log").read_text()


@pytest.fixture
def writer(tmp_path):
    """A process that trains in tmp_path / "run" and saves at every step, once it has saved for the first time."""
    process = start(*LONG, tmp_path / "run")
    while not (tmp_path / "run" / "checkpoint.safetensors").exists():
        assert process.poll() is None, ended(process)
        time.sleep(0.01)
    yield process
    process.kill()
    ended(process)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@POSIX
@pytest.mark.usefixtures("tiny_runs")
def test_a_second_writer_is_told_who_the_first_is_and_changes_nothing(tmp_path, writer, capsys):
    os.kill(writer.pid, signal.SIGSTOP)
    before = content(tmp_path / "run")
    for arguments in (["train", "--resume", "run"], [*RUN, "--out", "run"]):
        said = said_by(capsys, *arguments, code=1)
        assert said.startswith(f"minidl: run is in use: process {writer.pid} on ")
        assert ", since 2" in said
    assert content(tmp_path / "run") == before


def read_beside(tmp_path, writer, capsys, seconds):
    """Readers, again and again, while another process saves at every step."""
    end, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end or not rounds:
        before = RunFolder(tmp_path / "run").load_config()
        said_by(capsys, "evaluate", "run")
        said_by(capsys, "summary", "run")
        said_by(capsys, "explain", "run", "run", "--images", "8", "--out", "page.html")
        said_by(capsys, "export", "run", "--format", "torchvision", "--out", "run.safetensors")
        assert RunFolder(tmp_path / "run").load_config() == before
        assert writer.poll() is None, ended(writer)
        rounds += 1


@POSIX
@pytest.mark.usefixtures("tiny_runs")
def test_readers_do_not_disturb_a_writer(tmp_path, writer, capsys):
    read_beside(tmp_path, writer, capsys, seconds=0)
    writer.send_signal(signal.SIGTERM)
    assert "Stopped and saved" in ended(writer)


@POSIX
@SLOW
@pytest.mark.usefixtures("tiny_runs")
def test_readers_do_not_disturb_a_writer_for_a_minute(tmp_path, writer, capsys):
    read_beside(tmp_path, writer, capsys, seconds=60)


@POSIX
@pytest.mark.usefixtures("tiny_runs")
@pytest.mark.parametrize("arguments", [["evaluate", "run"], ["summary", "run"], ["explain", "run", "run"],
                                       ["export", "run", "--format", "keras", "--out", "w.weights.h5"]])  # fmt: skip
def test_reading_leaves_a_folder_as_it_is(tmp_path, finished_run, capsys, arguments):
    shutil.copytree(finished_run, tmp_path / "run")
    for name in (".checkpoint.safetensors.123", ".signals.json.123", ".lock"):
        (tmp_path / "run" / name).write_text("unfinished")
    before = content(tmp_path / "run")
    said_by(capsys, *arguments)
    assert content(tmp_path / "run") == before


@POSIX
@pytest.mark.usefixtures("tiny_runs")
def test_the_lock_of_a_killed_owner_is_free_and_what_it_left_is_removed(tmp_path, writer, capsys):
    writer.kill()
    ended(writer)
    folder = tmp_path / "run"
    assert {".lock", ".owner"} <= {path.name for path in folder.iterdir()}
    names = ("checkpoint.safetensors", "curves.png", "signals.json", "history.csv", "config.json")
    for name in names:
        (folder / f".{name}.{writer.pid}").write_text("half")
    (folder / ".tmpbfNe7p").write_text("half")  # as safetensors calls it
    (folder / ".checkpoint.safetensors.mine").write_text("of the user's")
    done = len(RunFolder(folder).load_history())
    said_by(capsys, "train", "--resume", "run", "--epochs", str(done + 2))
    drawn = {"curves.png"}  # where matplotlib is installed
    assert {path.name for path in folder.iterdir()} - drawn == {*names, ".checkpoint.safetensors.mine"} - drawn


def test_one_process_cannot_own_a_folder_twice(tmp_path):
    with (
        RunFolder(tmp_path).owned(),
        pytest.raises(InUseError, match="is in use: process"),
        RunFolder(tmp_path).owned(),
    ):
        pass
    with RunFolder(tmp_path).owned():
        pass
    assert list(tmp_path.iterdir()) == []


@POSIX
def test_a_folder_that_took_the_name_of_ours_is_left_alone(tmp_path):
    """While we write, and when we are done: it may be that of another run, with an owner of its own."""
    run = tmp_path / "run"

    def write(temporary):
        run.rename(tmp_path / "elsewhere")
        run.mkdir()
        (run / ".lock").touch()
        temporary.write_text("half")

    with RunFolder(run).owned():
        (run / "file").touch()
        with pytest.raises(FileNotFoundError):
            replace_file(run / "config.json", write)
    assert [path.name for path in run.iterdir()] == [".lock"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"process": "many"}', "\0"])
def test_an_owner_that_has_not_said_who_it_is(tmp_path, text):
    (tmp_path / ".owner").write_text(text)
    assert owner_of(tmp_path) == "another process"
    with FileLock(tmp_path / ".lock"), pytest.raises(InUseError, match="another process"), RunFolder(tmp_path).owned():
        pass


def test_a_folder_that_stays_empty_is_removed(tmp_path):
    with RunFolder(tmp_path / "new").owned():
        pass
    (tmp_path / "old").mkdir()
    with RunFolder(tmp_path / "old").owned():
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@POSIX
@pytest.mark.parametrize("name", ["SIGHUP", *(pytest.param(name, marks=SLOW) for name in ("SIGTERM", "SIGINT"))])
def test_each_of_these_signals_saves(tmp_path, name):
    process = start(*LONG, tmp_path / "run", send=f"{name} 11", checkpoint_every=300)
    said = ended(process)
    assert process.returncode == 130, said
    assert "Stopped and saved" in said
    memory = RunFolder(tmp_path / "run").load_config()
    assert memory["epochs"] == 500
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()


@POSIX
@SLOW
def test_a_terminal_that_says_goodbye_twice_does_not_stop_the_saving(tmp_path):
    process = start(*LONG, tmp_path / "run", send="SIGHUP 11 SIGHUP 11", checkpoint_every=300)
    assert "Stopped and saved" in ended(process)


@POSIX
@SLOW
def test_under_nohup_a_run_goes_on(tmp_path):
    command = [*LONG[:-2], "2", "--out", tmp_path / "run"]
    process = start(*command, send="SIGHUP 3", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert "Finished" in ended(process)
    assert process.returncode == 0


@POSIX
@pytest.mark.parametrize("what", ["removed", *(pytest.param(what, marks=SLOW) for what in ("renamed", "replaced"))])
def test_a_folder_that_vanishes_is_an_error_and_not_a_finished_run(tmp_path, writer, what):
    folder = tmp_path / "run"
    os.kill(writer.pid, signal.SIGSTOP)
    folder.rename(tmp_path / "elsewhere")
    if what == "removed":
        shutil.rmtree(tmp_path / "elsewhere")
    if what == "replaced":
        folder.mkdir()
    os.kill(writer.pid, signal.SIGCONT)
    said = ended(writer)
    assert writer.returncode == 1
    assert "the run folder has been removed or renamed while it was trained in" in said
    assert "Traceback" not in said
    assert "Finished" not in said
    assert not folder.exists() or list(folder.iterdir()) == []


@POSIX
@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(finished_run, request):
    """As another user, who may read it."""
    place = Path(tempfile.mkdtemp())  # that of pytest is for its user alone
    request.addfinalizer(lambda: shutil.rmtree(place))
    place.chmod(0o755)
    folder = shutil.copytree(finished_run, place / "run")
    folder.chmod(0o755)
    before = content(folder)
    code = "from minidl.training.run_folder import RunFolder\nimport sys\nwith RunFolder(sys.argv[1]).owned(): pass"
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    if not other:
        folder.chmod(0o555)
    if any(not parent.stat().st_mode & 0o001 for parent in folder.parents):
        pytest.skip("the temporary folder is for its user alone")
    if subprocess.run([*other, sys.executable, "-c", "import minidl"], capture_output=True, cwd="/").returncode:
        pytest.skip("minidl is for its user alone")
    result = subprocess.run([*other, sys.executable, "-c", code, folder], capture_output=True, text=True, cwd="/")
    assert result.stderr.splitlines()[-1].startswith(
        f"PermissionError: {folder}: cannot be written, so nothing can be trained there"
    )
    folder.chmod(0o755)
    assert content(folder) == before


@POSIX
@pytest.mark.usefixtures("tiny_runs")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_of_a_run_have_one_mode(tmp_path, capsys, umask, mode):
    pytest.importorskip("matplotlib")
    before = os.umask(umask)
    try:
        said_by(capsys, *RUN[:-1], "1", "--out", "run")
        said_by(capsys, "export", "run", "--format", "torchvision", "--out", "weights.safetensors")
    finally:
        os.umask(before)
    files = [*(tmp_path / "run").iterdir(), tmp_path / "weights.safetensors"]
    assert {path.name: path.stat().st_mode & 0o777 for path in files} == {path.name: mode for path in files}


@pytest.mark.usefixtures("tiny_runs")
def test_settings_that_were_changed_after_the_checkpoint_are_noticed(tmp_path, finished_run, capsys):
    shutil.copytree(finished_run, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    for name, value in {"batch_size": 4, "limit": 16, "learning_rate": 0.5, "augment": False}.items():
        path.write_text(json.dumps(config | {name: value}))
        said = said_by(capsys, "train", "--resume", "run", code=1)
        assert f"the checkpoint is of {name} {config[name]!r}, not {value!r}: config.json has been changed" in said
        assert not Path("run", ".lock").exists()


@POSIX
@pytest.mark.parametrize("kills", [1, pytest.param(100, marks=SLOW)])
def test_killed_runs_come_out_the_same(tmp_path, kills):
    campaign(kills, seed=kills, folder=tmp_path)
