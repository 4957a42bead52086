"""keras.backend: what is left of it in Keras 3 and scripts still call."""

from minidl.keras.objects import clear_session


def backend() -> str:
    """The name of the engine."""
    return "minidl"


def floatx() -> str:
    """The float type of weights."""
    return "float32"


def epsilon() -> float:
    """What cross-entropy keeps probabilities away from 0 and 1 by."""
    return 1e-7


def image_data_format() -> str:
    """Images are (n, h, w, channels)."""
    return "channels_last"


__all__ = ["backend", "clear_session", "epsilon", "floatx", "image_data_format"]
