"""Keras's TensorBoard callback: its folders, names and steps."""

import pytest
from event_files import read_events
from fake_run import FakeModel, run

pytest.importorskip("tensorboardX")

from minidl.keras.callbacks import CallbackList, TensorBoard

EPOCHS = [{"loss": 4.0, "val_loss": 5.0}, {"loss": 2.0, "val_loss": 3.0}]


def fitted(folder, epochs=EPOCHS, **arguments):
    """{run: its curves} after two epochs of three batches."""
    model = FakeModel()
    run(CallbackList(TensorBoard(folder, **arguments), model=model), model, epochs, batches=3)
    return {path.name: read_events(path) for path in folder.iterdir()}


def test_epochs_of_training_and_validation(tmp_path):
    rate = pytest.approx(0.1)
    assert fitted(tmp_path) == {
        "train": {"epoch_loss": [(0, 4.0), (1, 2.0)], "epoch_learning_rate": [(0, rate), (1, rate)]},
        "validation": {"epoch_loss": [(0, 5.0), (1, 3.0)]},
    }


def test_without_validation_there_is_no_folder_for_it(tmp_path):
    assert fitted(tmp_path, [{"loss": 4.0}]).keys() == {"train"}


@pytest.mark.parametrize(
    ("update_freq", "steps"), [("epoch", []), ("batch", [1, 2, 3, 4, 5, 6]), (1, [1, 2, 3, 4, 5, 6]), (4, [4])]
)
def test_curves_of_batches(tmp_path, update_freq, steps):
    curves = fitted(tmp_path, update_freq=update_freq)["train"]
    assert curves.get("batch_loss", []) == [(step, 4.0 if step <= 3 else 2.0) for step in steps]


@pytest.mark.parametrize(("freq", "epochs"), [(0, []), (1, [0, 1, 2, 3]), (2, [0, 2])])
def test_histograms_of_weights(tmp_path, freq, epochs):
    curves = fitted(tmp_path, EPOCHS * 2, histogram_freq=freq)["train"]
    points = curves.get("dense/0/histogram", [])
    assert [(step, histogram.sum) for step, histogram in points] == [(epoch, 3 * (epoch + 1)) for epoch in epochs]


@pytest.mark.parametrize(
    ("update_freq", "names"),
    [("epoch", {"epoch_steps_per_second"}), (2, {"epoch_steps_per_second", "batch_steps_per_second"})],
)
def test_steps_per_second(tmp_path, update_freq, names):
    curves = fitted(tmp_path, write_steps_per_second=True, update_freq=update_freq)["train"]
    speeds = {name: points for name, points in curves.items() if name.endswith("per_second")}
    assert speeds.keys() == names
    assert all(speed > 0 for points in speeds.values() for _, speed in points)


def test_evaluation_is_drawn_against_the_steps(tmp_path):
    model = FakeModel()
    model.optimizer.iterations = 12
    callbacks = CallbackList(TensorBoard(tmp_path), model=model)
    for loss in [0.5, 0.25]:
        callbacks.on_test_begin()
        callbacks.on_test_end({"loss": loss})
    assert read_events(tmp_path / "validation") == {"evaluation_loss_vs_iterations": [(12, 0.5), (12, 0.25)]}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"write_images": True}, NotImplementedError, "write_images=True is not supported"),
        ({"profile_batch": (2, 4)}, NotImplementedError, r"profile_batch=\(2, 4\) is not supported"),
        ({"embeddings_freq": 1}, NotImplementedError, "embeddings_freq=1 is not supported"),
        ({"embeddings_metadata": "m"}, NotImplementedError, "embeddings_metadata='m' is not supported"),
        ({"update_freq": "step"}, ValueError, "expected update_freq 'epoch', 'batch' or a number of batches"),
        ({"update_freq": 0}, ValueError, "expected update_freq"),
    ],
)
def test_arguments_that_are_not_supported(tmp_path, arguments, error, message):
    with pytest.raises(error, match=f"TensorBoard: .*{message}" if error is NotImplementedError else message):
        TensorBoard(tmp_path, **arguments)


def test_keras_defaults_are_accepted(tmp_path):
    TensorBoard(tmp_path, 0, True, False, False, "epoch", 0, 0, None)
