"""Figures of a run in the files that TensorBoard shows: `tensorboard --logdir FOLDER` in another terminal.

The files are written by the small package tensorboardX (extra `tensorboard`), without its threads: what flush() has
returned from is on the disk.
"""

from __future__ import annotations

import itertools
import os
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minidl.training.loop import Callback, Training

HISTOGRAM_BINS = 30  # as many as TensorFlow's own summaries have

_files_of_this_process = itertools.count()


class EventWriter:
    """Writes one new event file in `folder`, which is made if need be; several files in it are one run to TensorBoard.

    ImportError without the package tensorboardX.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._library = event_library()
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # The library names files by the second; so that a second one never overwrites the first:
        suffix = f".{os.getpid()}.{next(_files_of_this_process)}"
        self._events = self._library.event_file_writer.EventsWriter(str(folder / "events"), suffix)
        self._close = weakref.finalize(self, self._events.close)  # at the latest when Python ends

    def scalar(self, name: str, value: float, step: int) -> None:
        """One point of the curve `name`. Signs other than letters, digits and -_./ become _ in names."""
        self._write(self._library.summary.scalar(name, float(value)), step)

    def histogram(self, name: str, values: ArrayLike, step: int) -> None:
        """How `values`, an array of any shape, are distributed; those that are not finite are left out."""
        numbers = np.asarray(values, np.float64).ravel()
        numbers = numbers[np.isfinite(numbers)]
        if numbers.size:
            self._write(self._library.summary.histogram(name, numbers, HISTOGRAM_BINS), step)

    def flush(self) -> None:
        """Let everything so far reach the disk. ValueError after close()."""
        self._check_open()
        self._events.flush()

    def close(self) -> None:
        """flush(), and nothing can be written any more. To close twice is no error."""
        self._close()

    def _write(self, summary: Any, step: int) -> None:
        self._check_open()
        event = self._library.proto.event_pb2.Event(summary=summary, step=int(step), wall_time=time.time())
        self._events.write_event(event)

    def _check_open(self) -> None:
        if not self._close.alive:
            raise ValueError("EventWriter: closed; make another for the same folder, it counts as the same run")


class TensorBoardLog(Callback):
    """For fit(): every column of the history as a curve in `folder`, a point for each epoch."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.writer = EventWriter(folder)

    def epoch_ended(self, training: Training) -> None:
        row = training.position.history[-1]
        for name, value in row.items():
            if name != "epoch":
                self.writer.scalar(name, value, int(row["epoch"]))
        self.writer.flush()


def event_library() -> Any:
    """tensorboardX; ImportError, with what to install, where it is missing."""
    try:
        import tensorboardX
        import tensorboardX.event_file_writer
        import tensorboardX.proto.event_pb2
        import tensorboardX.summary
    except ImportError as error:
        raise ImportError(
            f"TensorBoard's files are written by tensorboardX, which is missing ({error}); "
            f"install it with: pip install 'minidl[tensorboard]'"
        ) from error
    return tensorboardX
