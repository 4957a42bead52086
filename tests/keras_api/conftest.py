"""Tests marked `keras` compare with Keras on TensorFlow, where both are installed."""

import os
from contextlib import suppress

import pytest

from minidl.keras.objects import clear_session

with suppress(ImportError):
    # PyTorch would import it later, and once TensorFlow has been imported, that is a segmentation fault
    import triton  # noqa: F401

os.environ["KERAS_BACKEND"] = "tensorflow"  # read when Keras is imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(autouse=True)
def names_start_anew():
    clear_session()


def pytest_collection_modifyitems(items):
    """TensorFlow's own warnings are not ours to mend."""
    for item in items:
        if item.get_closest_marker("keras"):
            item.add_marker(pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"))
