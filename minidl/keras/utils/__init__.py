"""Keras's helpers, in the supported part: labels, seeds, downloads, a progress bar."""

from minidl.keras.objects import clear_session
from minidl.keras.unsupported import UTILS, refusing
from minidl.keras.utils.arrays import normalize, to_categorical
from minidl.keras.utils.files import get_file
from minidl.keras.utils.plotting import plot_model
from minidl.keras.utils.progbar import Progbar
from minidl.keras.utils.seeds import set_random_seed

__all__ = ["Progbar", "clear_session", "get_file", "normalize", "plot_model", "set_random_seed", "to_categorical"]

__getattr__ = refusing(__name__, UTILS)
