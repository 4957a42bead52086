"""The run folder: its files, and what is said when they are not those of a run."""

import csv

import pytest
from small_run import small_training

import minidl
from minidl.training.loop import Position, Totals
from minidl.training.run_folder import RunFolder

HISTORY = [
    {"epoch": 1, "loss": 2.25, "accuracy": 0.1, "validation_loss": 2.5, "validation_accuracy": 0.05, "seconds": 1.5},
    {"epoch": 2, "loss": 1 / 3, "accuracy": 0.9, "validation_loss": 0.5, "validation_accuracy": 0.8, "seconds": 1.25},
]


def test_a_new_folder_is_made_with_its_first_file(tmp_path):
    path = tmp_path / "runs" / "one"
    folder = RunFolder.create(path)
    assert not path.exists()
    folder.save_config({"model": "vgg11", "limit": None})
    assert folder.load_config() == {"model": "vgg11", "limit": None}
    assert [file.name for file in path.iterdir()] == ["config.json"]


def test_a_run_is_not_overwritten(tmp_path):
    RunFolder(tmp_path).save_config({"model": "vgg11"})
    with pytest.raises(FileExistsError, match=f"holds a run already: go on with --resume {tmp_path}, or name another"):
        RunFolder.create(tmp_path)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, FileNotFoundError, "holds no run: expected a file config.json in it"),
        (b"", ValueError, "config.json: expected JSON, but"),
        (b'{"model": "vgg', ValueError, "config.json: expected JSON, but"),
        (b"\xff\xfe\x00", ValueError, "config.json: expected JSON, but"),
        (b"[1, 2]", ValueError, "config.json: expected settings by name, got a list"),
    ],
)
def test_a_config_that_cannot_be_used(tmp_path, content, error, message):
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(error, match=message):
        RunFolder(tmp_path).load_config()


def test_history_is_a_table(tmp_path):
    folder = RunFolder(tmp_path)
    for rows in (HISTORY[:1], HISTORY):  # written again after each epoch
        folder.save_history(rows)
        with (tmp_path / "history.csv").open(newline="") as file:
            read = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
        assert read == rows
    assert (tmp_path / "history.csv").read_text().startswith("epoch,loss,accuracy,validation_loss,validation_accuracy,")


@pytest.mark.parametrize("validation", [True, False])
def test_curves_are_drawn(tmp_path, validation):
    pytest.importorskip("matplotlib")
    rows = [{k: v for k, v in row.items() if validation or not k.startswith("validation")} for row in HISTORY]
    RunFolder(tmp_path).save_curves(rows)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["curves.png"]


def test_no_curves_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setattr("minidl.training.run_folder.find_spec", lambda name: None)
    RunFolder(tmp_path).save_curves(HISTORY)
    assert list(tmp_path.iterdir()) == []


def test_the_position_comes_back_to_the_last_digit(tmp_path):
    folder, training = RunFolder(tmp_path), small_training()
    position = Position(epoch=2, batch=3, totals=Totals(1 / 3, 24, 7, 0.1), history=HISTORY)
    assert not folder.has_checkpoint()
    folder.save_checkpoint(training.model, training.optimiser, position)
    assert folder.has_checkpoint()
    assert folder.load_checkpoint(training.model, training.optimiser) == position


def test_a_checkpoint_goes_on_with_its_own_seed_only(tmp_path):
    """Order and masks depend on the seed: with another one the run would silently be a different one."""
    folder, training = RunFolder(tmp_path), small_training(seed=3)
    folder.save_checkpoint(training.model, training.optimiser, Position())
    minidl.seed(4)
    with pytest.raises(ValueError, match="seed"):
        folder.load_checkpoint(training.model, training.optimiser)
