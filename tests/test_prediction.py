"""`minidl predict`: images as the network sees them, the most probable classes, and files that cannot be read."""

import json
import shutil
import sys

import numpy as np
import pytest
from command_line import run, said_by
from rich.console import Console

from minidl import Chain, Dense, flatten, no_grad, recipe, softmax
from minidl.data import CIFAR10, Digits, classes_of, to_float
from minidl.data.cifar10 import CLASSES
from minidl.display import picture, print_prediction
from minidl.losses import crossentropy, logitcrossentropy
from minidl.prediction import Picture, Prediction, predict, probabilities, read_picture, read_pictures
from minidl.recipe import Settings, ends_in_softmax, loss_for
from minidl.training.checkpoint import save_checkpoint
from minidl.training.run_folder import RunFolder

Image = pytest.importorskip("PIL.Image")

DIGITS = Digits("test")


def photo(h, w, mode="RGB"):
    """A photograph of nothing."""
    pixels = np.random.default_rng(0).integers(0, 256, (h, w, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def save(image, path, **options):
    image.save(path, **options)
    return str(path)


@pytest.fixture
def digits_run(tiny_runs, finished_run, tmp_path, capsys):
    """A run on the digits, and images of the first three test digits."""
    shutil.copytree(finished_run, tmp_path / "run")
    capsys.readouterr()
    for i in range(3):
        Image.fromarray(DIGITS.images[i]).save(tmp_path / f"{i}.png")


def scores_of_the_run():
    model = recipe.build(recipe.read_settings(RunFolder("run")))
    recipe.load_weights("run", model)
    with no_grad():
        return softmax(model(to_float(DIGITS.images[:3]))).numpy()


# Images -------------------------------------------------------------------------------------------------------------


def test_an_image_of_the_right_size_stays_as_it_is(tmp_path):
    seen = read_picture(save(Image.fromarray(DIGITS.images[0]), tmp_path / "digit.png"))
    np.testing.assert_array_equal(seen.pixels, DIGITS.images[0])
    assert seen.size == (32, 32)


@pytest.mark.parametrize(("h", "w"), [(64, 96), (96, 64)])
def test_the_square_in_the_middle_is_seen(tmp_path, h, w):
    pixels = np.zeros((h, w, 3), np.uint8)
    pixels[:, :, 0] = 255  # red, with a green square in the middle
    pixels[(h - 64) // 2 : (h + 64) // 2, (w - 64) // 2 : (w + 64) // 2] = (0, 255, 0)
    seen = read_picture(save(Image.fromarray(pixels), tmp_path / "square.png"))
    assert seen.pixels.shape == (32, 32, 3)
    assert seen.size == (w, h)
    assert (seen.pixels == (0, 255, 0)).all()


def test_an_image_is_turned_as_its_camera_says(tmp_path):
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16] = 255  # white above
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6  # orientation: the top of the image lies on the right
    seen = read_picture(save(image, tmp_path / "turned.png", exif=exif))
    assert (seen.pixels[:, 16:] == 255).all()
    assert (seen.pixels[:, :16] == 0).all()


def test_what_is_transparent_becomes_white(tmp_path):
    pixels = np.zeros((32, 32, 4), np.uint8)  # black, whether seen or not
    pixels[8:24, 8:24, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "figure.png")
    seen = read_picture(str(tmp_path / "figure.png")).pixels.copy()
    assert (seen[8:24, 8:24] == 0).all()
    seen[8:24, 8:24] = 255
    assert (seen == 255).all()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK"])
def test_everything_becomes_red_green_and_blue(tmp_path, mode):
    path = save(photo(40, 50, mode), tmp_path / ("image.tif" if mode == "CMYK" else "image.png"))
    assert read_picture(path).pixels.shape == (32, 32, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (31, 33)])
def test_images_of_odd_sizes(tmp_path, size):
    assert read_picture(save(photo(*size), tmp_path / "image.png")).pixels.shape == (32, 32, 3)


def bad_files(folder):
    """Path and what is said of it."""
    (folder / "text.png").write_text("hello")
    (folder / "empty.jpg").write_bytes(b"")
    whole = folder / "whole.png"
    photo(50, 50).save(whole)
    (folder / "cut.png").write_bytes(whole.read_bytes()[:2000])
    Image.fromarray(np.full((40, 40), 40_000, np.uint16)).save(folder / "deep.png")
    return {
        folder / "text.png": "not an image that can be read: cannot identify",
        folder / "empty.jpg": "not an image that can be read: cannot identify",
        folder / "cut.png": "not an image that can be read: ",
        folder / "deep.png": "expected 8 bits a colour, got Pillow's mode 'I;16'",
        folder / "missing.png": "expected an image file, found nothing there",
        folder: "expected an image file, found a folder",
    }


def test_files_that_cannot_be_read_are_named(tmp_path):
    expected = bad_files(tmp_path)
    whole = str(tmp_path / "whole.png")
    pictures, problems = read_pictures([whole, *map(str, expected), whole])
    assert [seen.path for seen in pictures] == [whole, whole]
    assert problems.keys() == {str(path) for path in expected}
    for path, message in expected.items():
        assert problems[str(path)].startswith(f"{path}: {message}")


# Predictions ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("digits_run")
@pytest.mark.parametrize("run_or_checkpoint", ["run", "run/checkpoint.safetensors"])
def test_probabilities_are_those_of_the_network(run_or_checkpoint):
    """For images that went through a file, the very numbers of the test images."""
    pictures, _ = read_pictures(["0.png", "1.png", "2.png"])
    predictions = predict(run_or_checkpoint, pictures)
    for found, row in zip(predictions, scores_of_the_run(), strict=True):
        assert [name for name, _ in found.classes] == [str(i) for i in np.argsort(-row, kind="stable")]
        np.testing.assert_array_equal([p for _, p in found.classes], np.sort(row)[::-1])


def test_a_network_that_ends_in_softmax_gives_probabilities_already(tmp_path, monkeypatch):
    monkeypatch.setitem(recipe.MODELS, "pixels", lambda: Chain(flatten, lambda x: x[:, :10] * 9, softmax))
    folder = RunFolder(tmp_path)
    folder.save_config({"model": "pixels", "data": "cifar10"})
    save_checkpoint(tmp_path / "checkpoint.safetensors", recipe.MODELS["pixels"]())
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[0, 1, 0] = 255  # number 3 of the flattened image
    (found,) = predict(str(tmp_path), [Picture("x", (32, 32), pixels)])
    assert found.classes[0][0] == "cat"
    assert found.classes[0][1] == pytest.approx(np.exp(9) / (np.exp(9) + 9))
    assert sum(p for _, p in found.classes) == pytest.approx(1)


class Halved(Chain):
    def __call__(self, x):
        return super().__call__(x) * 0.5


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Chain(Dense(2, 3), softmax), True),
        (Chain(Dense(2, 3, softmax)), True),
        (Chain(flatten, Chain(Chain(Dense(2, 3, softmax)))), True),
        (Chain(Dense(2, 3)), False),
        (Chain(softmax, Dense(2, 3)), False),
        (Halved(Dense(2, 3), softmax), False),
        (Chain(), False),
    ],
)
def test_where_a_network_ends_in_softmax(model, expected):
    assert ends_in_softmax(model) == expected
    assert loss_for(model) is (crossentropy if expected else logitcrossentropy)
    if len(model):
        x = np.random.default_rng(0).random((4, 2), np.float32)
        y = model(x).numpy()
        np.testing.assert_allclose(probabilities(model, [x]), y if expected else softmax(y).numpy(), rtol=1e-6)


def test_names_of_classes():
    assert classes_of("digits") == DIGITS.classes == tuple("0123456789")
    assert classes_of("cifar10") == CLASSES
    assert CLASSES[3] == "cat"
    with pytest.raises(ValueError, match="expected one of cifar10, digits, got 'auto'"):
        classes_of("auto")
    assert CIFAR10.__doc__


def test_training_and_prediction_prepare_images_alike():
    """What `predict` does to pixels is what evaluation does to them."""
    ((x, _),) = recipe._batches(DIGITS, Settings("vgg11", "digits", limit=3), training=False)
    prepared = DIGITS.images[:3]
    for step in recipe.PREPROCESSING:
        prepared = step(prepared, np.random.default_rng(0))
    np.testing.assert_array_equal(x, prepared)
    assert recipe._batches(DIGITS, Settings("vgg11", "digits"), training=True).augment[-1] is recipe.PREPROCESSING[-1]


# The command ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("digits_run")
def test_each_image_has_its_most_probable_classes(capsys):
    lines = said_by(capsys, "predict", "run", "0.png", "2.png", "--top", "3").splitlines()
    assert [lines[0], lines[4]] == ["0.png", "2.png"]
    assert len(lines) == 8
    for shown, row in zip([lines[1:4], lines[5:8]], scores_of_the_run()[[0, 2]], strict=True):
        order = np.argsort(-row, kind="stable")[:3]
        assert [line.split() for line in shown] == [[str(i), f"{row[i]:.2%}"] for i in order]


@pytest.mark.usefixtures("digits_run")
def test_a_resized_image_says_so_and_five_classes_are_shown(tmp_path, capsys):
    save(photo(300, 400), tmp_path / "photo.jpg")
    first, *classes = said_by(capsys, "predict", "run", "photo.jpg").splitlines()
    assert first == "photo.jpg (400 x 300 pixels: the square in the middle, as 32 x 32)"
    assert len(classes) == 5


@pytest.mark.usefixtures("digits_run")
def test_good_images_are_predicted_beside_bad_ones(tmp_path, capsys):
    (tmp_path / "text.png").write_text("hello")
    out, err = run(capsys, "predict", "run", "0.png", "text.png", "missing.png", "1.png", "--top", "1", code=1)
    assert [line for line in out.splitlines() if not line.startswith(" ")] == ["0.png", "1.png"]
    assert [line.split(": ")[:2] for line in err.splitlines()] == [["minidl", "text.png"], ["minidl", "missing.png"]]


@pytest.mark.usefixtures("digits_run")
def test_predictions_as_json(tmp_path, capsys):
    (tmp_path / "text.png").write_text("hello")
    out, err = run(capsys, "predict", "run", "0.png", "text.png", "--json", "--picture", "--top", "2", code=1)
    found = json.loads(out)
    (image,) = found["images"]
    row = scores_of_the_run()[0]
    order = np.argsort(-row, kind="stable")[:2]
    assert image == {
        "image": "0.png", "size": [32, 32],
        "classes": [{"name": str(i), "probability": pytest.approx(float(row[i]))} for i in order],
    }  # fmt: skip
    assert list(found["problems"]) == ["text.png"]
    assert err.startswith("minidl: text.png: not an image")


@pytest.mark.usefixtures("digits_run")
def test_without_pillow_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL", None)  # as if it were not installed
    assert "install it with: pip install 'minidl[images]'" in said_by(capsys, "predict", "run", "0.png", code=1)


# Pictures -------------------------------------------------------------------------------------------------------------


def test_a_picture_is_half_blocks_in_two_colours():
    pixels = np.zeros((3, 2, 3), np.uint8)
    pixels[0, 0], pixels[1, 0], pixels[2, 1] = (255, 0, 0), (0, 0, 255), (1, 2, 3)
    console = Console(force_terminal=True, color_system="truecolor", width=20, record=True, legacy_windows=False)
    with console.capture() as captured:
        console.print(picture(pixels), end="")
    first, second = captured.get().splitlines()
    assert first.count("▀") == second.count("▀") == 2
    assert "38;2;255;0;0;48;2;0;0;255m▀" in first  # the upper pixel in front of the lower one
    assert "38;2;1;2;3m▀" in second  # nothing below it


@pytest.mark.parametrize(
    ("terminal", "asked", "shown"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_pictures_are_shown_on_terminals(terminal, asked, shown):
    console = Console(force_terminal=terminal, width=80, highlight=False)
    found = Prediction(Picture("x.png", (32, 32), DIGITS.images[0]), [("1", 0.75), ("2", 0.25)])
    with console.capture() as captured:
        print_prediction(console, found, 5, asked)
    assert captured.get().count("▀") == (16 * 32 if shown else 0)
    assert "75.00%" in captured.get()
