"""CallbackList: one callback that stands for many, as fit() uses it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minidl.keras.callbacks.callback import BATCH_HOOKS, HOOKS, Callback, Logs
from minidl.keras.callbacks.progbar_logger import ProgbarLogger
from minidl.keras.callbacks.records import History

ALIASES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class CallbackList(Callback):
    """Calls every hook of every callback, in the order given, a History and a ProgbarLogger last if asked for.

    `callbacks` is None, a callback, or a list, lists inside it included; `params` go to all of them. All are given the
    same dict of logs: what one of them adds, such as the learning rate, those behind it see. After an epoch its names
    are in alphabetical order, as Keras has them.

    A hook of batches reaches only callbacks that write it. The logs of a batch may be any mapping, which computes its
    numbers when somebody looks: they are read once, if there is another listener than the bar.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        self.callbacks = list(_flat(callbacks))
        if add_history and not self._all(History):
            self.callbacks.append(History())
        if add_progbar and not self._all(ProgbarLogger):
            self.callbacks.append(ProgbarLogger())
        self._listeners = {hook: [one for one in self.callbacks if _writes(one, hook)] for hook in HOOKS}
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    def listens(self, hook: str) -> bool:
        """Whether anybody writes this hook: without listeners, fit() need not even put logs together."""
        return bool(self._listeners[hook])

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        for history in self._all(History)[-1:]:
            model.history = history
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def _all(self, kind: type[Callback]) -> list[Any]:
        return [callback for callback in self.callbacks if isinstance(callback, kind)]

    def _call(self, hook: str, *arguments: Any) -> None:
        *position, logs = arguments
        read = None if hook in BATCH_HOOKS else _read(logs)
        for callback in self._listeners[hook]:
            if isinstance(callback, ProgbarLogger) and read is None:
                getattr(callback, hook)(*position, {} if logs is None else logs)
                continue
            read = _read(logs) if read is None else read
            getattr(callback, hook)(*position, read)

    def on_train_begin(self, logs: Logs = None) -> None:
        self._call("on_train_begin", logs)

    def on_train_end(self, logs: Logs = None) -> None:
        self._call("on_train_end", logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        self._call("on_test_begin", logs)

    def on_test_end(self, logs: Logs = None) -> None:
        self._call("on_test_end", logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._call("on_predict_begin", logs)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._call("on_predict_end", logs)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._call("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._call("on_epoch_end", epoch, logs)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._call("on_batch_begin", batch, logs)

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._call("on_batch_end", batch, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._call("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._call("on_train_batch_end", batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._call("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._call("on_test_batch_end", batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._call("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._call("on_predict_batch_end", batch, logs)


def _read(logs: Any) -> dict[str, Any]:
    return dict(sorted((logs or {}).items()))


def _flat(callbacks: Any) -> Iterator[Any]:
    if callbacks is None:
        return
    if not isinstance(callbacks, (list, tuple)):
        yield callbacks
        return
    for inner in callbacks:
        yield from _flat(inner)


def _writes(callback: Any, hook: str) -> bool:
    """Whether a hook, or the older name that stands for it, is another function than Callback's, which does nothing."""
    names = [hook, ALIASES.get(hook, hook)]
    return any(getattr(getattr(callback, name), "__func__", None) is not getattr(Callback, name) for name in names)
