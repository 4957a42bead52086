"""Are gradients right? What the engine computes beside what the function does: `check_gradients`."""

from minidl.gradient_check.check import check_gradients
from minidl.gradient_check.verdicts import GradientError, UndecidedError

__all__ = ["GradientError", "UndecidedError", "check_gradients"]
