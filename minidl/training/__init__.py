"""Training: data loader, loop, callbacks, checkpoints."""

from minidl.training.checkpoint import load_checkpoint, save_checkpoint
from minidl.training.data_loader import DataLoader
from minidl.training.loop import Callback, Training, epochs, evaluate, fit, skip, stop, train

__all__ = [
    "Callback", "DataLoader", "Training", "epochs", "evaluate", "fit", "load_checkpoint", "save_checkpoint",
    "skip", "stop", "train",
]  # fmt: skip
