"""What stands for the GPU. Tests marked `gpu` compute on the backend of that name:

pytest           on a stand-in, which runs the CUDA source on the CPU
pytest -m gpu    on a GPU; without one they are skipped, or fail where MINIDL_REQUIRE_GPU is set

Tests marked `emulated` are about the stand-in itself.
"""

import os
import platform
import shutil
import sys
import zlib

import pytest


def _on_hardware(config):
    return config.option.markexpr == "gpu"


def pytest_configure(config):
    if not _on_hardware(config):
        from emulator import strict_cupy

        strict_cupy.install()


def pytest_runtest_setup(item):
    if not any(item.get_closest_marker(name) for name in ["gpu", "emulated"]):
        return
    if _on_hardware(item.config) and item.get_closest_marker("emulated"):
        pytest.skip("looks at the stand-in")
    missing = _no_gpu() if _on_hardware(item.config) else _no_emulator()
    if missing:
        skip_or_fail(missing)
    if not _on_hardware(item.config):
        from emulator import program, strict_cupy

        # Threads run in one of three orders, always the same one in a test: a kernel must not depend on it
        strict_cupy.settings.order = program.ORDERS[zlib.crc32(item.nodeid.encode()) % 3]


@pytest.fixture
def tiny_runs(tmp_path, monkeypatch):
    """A network that trains in no time, a folder of its own, and no CIFAR-10 anywhere, nor a way to it."""
    from tiny_command import tiny

    from minidl import recipe
    from minidl.data import cifar10
    from minidl.data.download import DownloadError

    def refused(*arguments):
        raise DownloadError("no answer: connection refused")

    monkeypatch.setitem(recipe.MODELS, "tiny", tiny)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cifar10, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    monkeypatch.setattr(cifar10, "download", refused)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """The folder of a run of the network of `tiny_runs`. To be copied, not changed."""
    from command_line import RUN
    from tiny_command import tiny

    from minidl import cli, recipe

    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipe.MODELS, "tiny", tiny)
        assert cli.main([*RUN, "--out", str(folder)]) == 0
    return folder


def skip_or_fail(reason):
    """A test that cannot be run here; where MINIDL_REQUIRE_GPU is set, that must not look as if it had passed."""
    (pytest.fail if os.environ.get("MINIDL_REQUIRE_GPU") else pytest.skip)(reason)


def _no_gpu():
    try:
        import cupy
    except ImportError:
        return "needs cupy, which is not installed"
    return None if cupy.cuda.is_available() else "needs a GPU with its driver"


def _no_emulator():
    if platform.machine() != "x86_64" or sys.platform != "linux":
        return "the emulator's fibers are written for Linux on x86-64"
    return None if shutil.which("g++") else "the emulator needs g++"
