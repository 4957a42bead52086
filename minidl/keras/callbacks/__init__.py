"""Keras's callbacks, in the supported part: what watches fit(), evaluate() and predict()."""

from minidl.keras.callbacks.callback import Callback, LambdaCallback
from minidl.keras.callbacks.callback_list import CallbackList
from minidl.keras.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from minidl.keras.callbacks.progbar_logger import ProgbarLogger
from minidl.keras.callbacks.records import CSVLogger, History
from minidl.keras.callbacks.saving import BackupAndRestore, ModelCheckpoint
from minidl.keras.callbacks.stopping import EarlyStopping, TerminateOnNaN
from minidl.keras.callbacks.tensorboard import TensorBoard
from minidl.keras.unsupported import CALLBACKS, refusing

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback",
    "LearningRateScheduler", "ModelCheckpoint", "ProgbarLogger", "ReduceLROnPlateau", "TensorBoard", "TerminateOnNaN",
]  # fmt: skip

__getattr__ = refusing(__name__, CALLBACKS)
