"""What is written for TensorBoard can be read: by a small reader here, and by its own where that is installed."""

import builtins
import gc

import numpy as np
import pytest
from event_files import read_events
from small_run import small_training

from minidl.training.tensorboard import EventWriter, TensorBoardLog


def test_without_the_library_the_error_says_what_to_install(tmp_path, monkeypatch):
    def no_tensorboardx(name, *arguments):
        if name.startswith("tensorboardX"):
            raise ImportError("No module named 'tensorboardX'")
        return original(name, *arguments)

    original = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", no_tensorboardx)
    with pytest.raises(ImportError, match=r"pip install 'minidl\[tensorboard\]'"):
        EventWriter(tmp_path / "run")
    assert not (tmp_path / "run").exists()


VALUES = np.array([[0.0, 1.0], [2.0, 3.0]])


class TestWithLibrary:
    @pytest.fixture(autouse=True)
    def _library(self):
        pytest.importorskip("tensorboardX")

    def test_scalars_are_on_the_disk_after_flush(self, tmp_path):
        writer = EventWriter(tmp_path / "new" / "run")
        writer.scalar("loss", 1.5, 1)
        writer.scalar("loss", np.float32(0.5), np.int64(2))
        writer.scalar("a/b", float("nan"), 1)
        writer.flush()
        curves = read_events(tmp_path / "new" / "run")
        assert curves["loss"] == [(1, 1.5), (2, 0.5)]
        assert np.isnan(curves["a/b"][0][1])

    def test_histograms_leave_out_what_is_not_finite(self, tmp_path):
        writer = EventWriter(tmp_path)
        writer.histogram("weights", VALUES, 3)
        writer.histogram("broken", [[1.0, np.inf], [np.nan, 3.0]], 3)
        writer.histogram("quite broken", [np.nan], 3)
        writer.histogram("all equal", np.zeros(5), 3)
        writer.close()
        curves = read_events(tmp_path)
        found = {name: (int(h.num), h.min, h.max, h.sum, sum(h.bucket)) for name, [(_, h)] in curves.items()}
        assert found == {
            "weights": (4, 0, 3, 6, 4),
            "broken": (2, 1, 3, 4, 2),
            "all_equal": (5, 0, 0, 0, 5),
        }

    def test_writers_of_one_folder_do_not_overwrite_each_other(self, tmp_path):
        for step in range(3):  # within a second
            writer = EventWriter(tmp_path)
            writer.scalar("loss", step, step)
            writer.close()
            writer.close()
        assert read_events(tmp_path)["loss"] == [(0, 0), (1, 1), (2, 2)]

    @pytest.mark.parametrize("use", [lambda w: w.scalar("loss", 1.0, 1), lambda w: w.flush()], ids=["scalar", "flush"])
    def test_a_closed_writer_writes_no_more(self, tmp_path, use):
        writer = EventWriter(tmp_path)
        writer.close()
        with pytest.raises(ValueError, match="EventWriter: closed"):
            use(writer)

    def test_a_writer_that_nobody_closed_is_closed_with_its_last_reference(self, tmp_path):
        writer = EventWriter(tmp_path)
        writer.scalar("loss", 1.0, 1)
        del writer
        gc.collect()  # an open file would be a ResourceWarning
        assert read_events(tmp_path)["loss"] == [(1, 1.0)]

    def test_fit_writes_every_column_of_its_history(self, tmp_path):
        training = small_training(epochs=2, count=16)
        training.run([TensorBoardLog(tmp_path)])
        history = training.position.history
        curves = read_events(tmp_path)
        assert curves.keys() == history[0].keys() - {"epoch"}
        for name, points in curves.items():
            assert points == [(int(row["epoch"]), pytest.approx(row[name])) for row in history]

    def test_tensorboard_reads_it(self, tmp_path):
        reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        writer = EventWriter(tmp_path)
        for step in range(3):
            writer.scalar("loss", 1 / (step + 1), step)
            writer.histogram("dense/kernel", VALUES + step, step)
        writer.close()
        accumulator = reading.EventAccumulator(str(tmp_path), {"scalars": 0, "histograms": 0}).Reload()  # 0: all
        assert [(e.step, e.value) for e in accumulator.Scalars("loss")] == [
            (0, 1), (1, 0.5), (2, pytest.approx(1 / 3)),
        ]  # fmt: skip
        histograms = accumulator.Histograms("dense/kernel")
        assert [(e.step, e.histogram_value.sum) for e in histograms] == [(0, 6), (1, 10), (2, 14)]
        assert len(histograms[0].histogram_value.bucket) >= 30
