"""Keras's callbacks, in the supported part: what watches fit(), evaluate() and predict()."""

from typing import NoReturn

from minidl.keras.callbacks.callback import Callback, LambdaCallback
from minidl.keras.callbacks.callback_list import CallbackList
from minidl.keras.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from minidl.keras.callbacks.progbar_logger import ProgbarLogger
from minidl.keras.callbacks.records import CSVLogger, History
from minidl.keras.callbacks.saving import BackupAndRestore, ModelCheckpoint
from minidl.keras.callbacks.stopping import EarlyStopping, TerminateOnNaN
from minidl.keras.callbacks.tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback",
    "LearningRateScheduler", "ModelCheckpoint", "ProgbarLogger", "ReduceLROnPlateau", "TensorBoard", "TerminateOnNaN",
]  # fmt: skip

NOT_SUPPORTED = {
    "OrbaxCheckpoint": "ModelCheckpoint or BackupAndRestore saves",
    "RemoteMonitor": "LambdaCallback(on_epoch_end=...) can send the logs",
    "SwapEMAWeights": "keep averages of model.get_weights() in a Callback of your own",
}


def __getattr__(name: str) -> NoReturn:
    if name in NOT_SUPPORTED:
        # An AttributeError would lose its words in `from ... import`
        raise NotImplementedError(f"minidl.keras.callbacks: Keras's {name} is not supported; {NOT_SUPPORTED[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
