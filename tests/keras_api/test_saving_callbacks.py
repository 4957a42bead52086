"""ModelCheckpoint saves when and where it should; BackupAndRestore brings a crashed run to the same end."""

import pytest
from fake_run import FakeModel, losses, run

from minidl.keras.callbacks import BackupAndRestore, CallbackList, History, ModelCheckpoint

# arguments, val_loss of each epoch, the files left, each with the steps of the model in it
CHECKPOINTS = {
    "the last epoch": ("m.keras", {}, [3, 2], {"m.keras": "model 4.0"}),
    "safetensors": ("m.safetensors", {}, [3], {"m.safetensors": "model 2.0"}),
    "weights only": ("m.weights.h5", {"save_weights_only": True}, [3], {"m.weights.h5": "weights 2.0"}),
    "every epoch": ("{epoch:02d}-{val_loss:.2f}.keras", {}, [3, 2],
                    {"01-3.00.keras": "model 2.0", "02-2.00.keras": "model 4.0"}),
    "folders": ("a/{epoch}/m.keras", {}, [3, 2], {"a/1/m.keras": "model 2.0", "a/2/m.keras": "model 4.0"}),
    "the best": ("m.keras", {"save_best_only": True}, [3, 1, 2], {"m.keras": "model 4.0"}),
    "the highest": ("m.keras", {"save_best_only": True, "mode": "max"}, [1, 3, 2], {"m.keras": "model 4.0"}),
    "of equals the first": ("m.keras", {"save_best_only": True}, [1, 1], {"m.keras": "model 2.0"}),
    "threshold": ("m.keras", {"save_best_only": True, "initial_value_threshold": 1.5}, [3, 2], {}),
    "threshold passed": ("{epoch}.keras", {"save_best_only": True, "initial_value_threshold": 2.5}, [3, 2, 1],
                         {"2.keras": "model 4.0", "3.keras": "model 6.0"}),
    "each batch": ("{epoch}-{batch}.keras", {"save_freq": 1}, [3],
                   {"1-1.keras": "model 1.0", "1-2.keras": "model 2.0"}),
    "batches over epochs": ("{epoch}-{batch}.keras", {"save_freq": 3}, [3] * 3,
                            {"2-1.keras": "model 3.0", "3-2.keras": "model 6.0"}),
    "the best batch": ("{epoch}-{batch}.keras", {"save_freq": 1, "save_best_only": True, "monitor": "loss"}, [3, 3],
                       {"1-1.keras": "model 1.0"}),
}  # fmt: skip


@pytest.mark.parametrize(("path", "arguments", "values", "files"), CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_checkpoints(path, arguments, values, files, tmp_path):
    model = FakeModel()
    run(CallbackList(ModelCheckpoint(tmp_path / path, **arguments), model=model), model, losses(*values))
    found = {str(file.relative_to(tmp_path)): file.read_text() for file in tmp_path.rglob("*") if file.is_file()}
    assert found == files


def test_a_checkpoint_says_what_it_does(tmp_path, capsys):
    model, path = FakeModel(), tmp_path / "m.keras"
    callback = ModelCheckpoint(path, save_best_only=True, verbose=1)
    run(CallbackList(callback, model=model), model, losses(3, 2, 2))
    assert capsys.readouterr().out.strip().split("\n\n") == [
        f"Epoch 1: val_loss improved from None to 3.00000, saving model to {path}",
        f"Epoch 1: finished saving model to {path}",
        f"Epoch 2: val_loss improved from 3.00000 to 2.00000, saving model to {path}",
        f"Epoch 2: finished saving model to {path}",
        "Epoch 3: val_loss did not improve from 2.00000",
    ]


@pytest.mark.parametrize(
    ("path", "arguments", "message"),
    [
        ("m", {}, "ends in .keras or .safetensors with save_weights_only=False, got 'm'"),
        ("m.keras", {"save_weights_only": True}, "ends in .weights.h5 or .safetensors with save_weights_only=True"),
        ("m.keras", {"save_freq": "batch"}, "expected save_freq 'epoch' or a number of batches, got 'batch'"),
        ("m.keras", {"save_freq": 0}, "expected save_freq"),
        ("m.keras", {"mode": "best"}, "expected mode"),
    ],
)
def test_wrong_arguments_of_a_checkpoint(path, arguments, message):
    with pytest.raises(ValueError, match=message):
        ModelCheckpoint(path, **arguments)


def test_a_place_in_the_path_that_no_figure_fills(tmp_path):
    model = FakeModel()
    with pytest.raises(KeyError, match=r"needs a figure 'val_acc'; there are epoch, loss, val_loss"):
        run(CallbackList(ModelCheckpoint(tmp_path / "{val_acc}.keras"), model=model), model, losses(3))


def test_a_checkpoint_of_the_best_is_saved_with_a_warning_where_nobody_knows_the_best(tmp_path):
    model, path = FakeModel(), tmp_path / "m.keras"
    callback = ModelCheckpoint(path, save_best_only=True, monitor="val_accuracy")
    with pytest.warns(UserWarning, match="expected 'val_accuracy' in the logs.*saved all the same"):
        run(CallbackList(callback, model=model), model, losses(3))
    assert path.exists()


# save_freq, where it crashes, the epochs that the second run makes, the weight it ends with
CRASHES = {
    "in the third epoch": ("epoch", (2, 0), [2, 3], 8),
    "in the first": ("epoch", (0, 0), [0, 1, 2, 3], 8),
    "after a backup of a batch": (3, (2, 1), [2, 3], 10),  # the epoch under way is done again, from its sixth step on
    "before one": (100, (2, 1), [0, 1, 2, 3], 8),
}


@pytest.mark.parametrize(("save_freq", "crash", "epochs_left", "weight"), CRASHES.values(), ids=CRASHES)
def test_a_crashed_run_goes_on(save_freq, crash, epochs_left, weight, tmp_path):
    model, folder = FakeModel(), tmp_path / "backup"
    with pytest.raises(KeyboardInterrupt):
        run(CallbackList(BackupAndRestore(folder, save_freq), model=model), model, losses(4, 3, 2, 1), 2, crash)
    model, history = FakeModel(), History()
    run(CallbackList([BackupAndRestore(folder, save_freq), history], model=model), model, losses(4, 3, 2, 1))
    assert history.epoch == epochs_left
    assert model.weights[0].item() == weight
    assert not folder.exists()
    assert model._initial_epoch is None


def test_a_second_crash_in_the_epoch_that_was_restored_does_not_lose_it(tmp_path):
    for crash in [(2, 1), (2, 0)]:
        model = FakeModel()
        with pytest.raises(KeyboardInterrupt):
            run(CallbackList(BackupAndRestore(tmp_path, 1), model=model), model, losses(4, 3, 2, 1), 2, crash)
    assert model.load_state(tmp_path / BackupAndRestore.FILE) == {"epoch": 2}


def test_a_backup_can_be_kept_and_other_files_in_its_folder_stay(tmp_path):
    model = FakeModel()
    run(CallbackList(BackupAndRestore(tmp_path / "kept", delete_checkpoint=False), model=model), model, losses(1, 1))
    assert model.load_state(tmp_path / "kept" / BackupAndRestore.FILE) == {"epoch": 2}
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "notes").touch()
    run(CallbackList(BackupAndRestore(tmp_path / "shared"), model=model), model, losses(1, 1))
    assert [file.name for file in (tmp_path / "shared").iterdir()] == ["notes"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backup_dir": ""}, "expected a folder as backup_dir"),
        ({"backup_dir": "b", "save_freq": False}, "expected save_freq"),
        ({"backup_dir": "b", "save_freq": -1}, "expected save_freq"),
        ({"backup_dir": "b", "double_checkpoint": True}, "double_checkpoint is not supported, and not needed"),
    ],
)
def test_wrong_arguments_of_a_backup(arguments, message):
    with pytest.raises(ValueError, match=message):
        BackupAndRestore(**arguments)
