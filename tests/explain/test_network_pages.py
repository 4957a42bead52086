"""Pages of networks: every section is there, and what it shows is what the network computes."""

import base64
import io
import json
import re
import shutil

import numpy as np
import pytest
from command_line import run, said_by
from tiny_command import tiny

import minidl
from minidl import Chain, Conv, Dense, SkipConnection, Tensor, flatten, relu, softmax
from minidl.data import DataLoader, Digits, to_float
from minidl.explain.charts import heat, line_chart, png
from minidl.explain.network.attribution import PATCH, STRIDE, occlusion, saliency
from minidl.explain.network.layer_graph import layer_graph
from minidl.explain.network.pages import explain_model, explain_run
from minidl.explain.network.predictions import confusion_matrix, most_confidently_wrong
from minidl.explain.network.signal_charts import dead_units, parameter_sizes, signal_charts
from minidl.functions import add
from minidl.prediction import probabilities
from minidl.summary import summarise

SECTIONS = [
    "The network", "Learning curves", "The signal, layer by layer", "Activations and gradients over training",
    "Dead units", "Parameters", "First filters", "What it looks at", "Right and wrong", "Most confidently wrong",
    "Settings",
]  # fmt: skip


@pytest.fixture
def model():
    minidl.seed(0)
    return tiny()


@pytest.fixture
def test_digits():
    images, labels = Digits("test")[:20]
    return to_float(images), labels


def headings(page):
    return [heading for heading, _ in page.sections]


def test_the_page_of_a_run_has_every_section(finished_run, tiny_runs):
    page = explain_run(finished_run, images=40)
    assert headings(page) == SECTIONS
    assert "tiny on digits" in page.html()
    assert len(page.html()) < 2_000_000
    body = dict(page.sections)
    assert "of 40 images are right" in body["Right and wrong"]
    assert body["First filters"].count("<img") == 4
    assert body["What it looks at"].count("<img") == 18


def test_a_run_without_signals_still_has_a_page(finished_run, tiny_runs, tmp_path):
    folder = tmp_path / "older"
    shutil.copytree(finished_run, folder)
    (folder / "signals.json").unlink()
    assert "kept no signals.json" in explain_run(folder, images=20).html()


def test_the_command_writes_the_page(finished_run, tiny_runs, capsys, tmp_path):
    out, _ = run(capsys, "explain", "run", str(finished_run), "--images", "20", "--out", str(tmp_path / "r.html"))
    assert out.splitlines()[-1] == str(tmp_path / "r.html")
    assert "<h1>tiny on digits</h1>" in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run"], 2, "expected a run folder"),
        (["run", "nowhere"], 1, "holds no run"),
        (["relu", "nowhere"], 2, "a folder goes with run only"),
        (["run", "nowhere", "--images", "1"], 2, "--images of at least 2"),
        (["run", "nowhere", "--benchmarks", "x.json"], 2, "--benchmarks goes with a layer's page"),
        (["relu", "--images", "20"], 2, "go with run only"),
    ],
)
def test_wrong_usage_is_explained(arguments, code, said, tiny_runs, capsys):
    assert said in said_by(capsys, "explain", *arguments, code=code)


def test_a_network_explains_itself(model, test_digits):
    images, labels = test_digits
    page = model.explain(images, labels)
    assert headings(page) == ["The network", "The signal, layer by layer", "Activations and gradients", "First filters",
                              "What it looks at", "Right and wrong", "Most confidently wrong"]  # fmt: skip
    assert headings(model.explain(images)) == headings(page)[:5]  # without labels, nothing is right or wrong
    assert page._repr_html_().startswith("<iframe")


def test_rows_of_numbers_can_be_explained_too():
    page = Chain(Dense(3, 4, relu), Dense(4, 2), softmax).explain(np.float32([[1, 2, 3], [3, 2, 1]]), np.array([0, 1]))
    assert headings(page) == ["The network", "The signal, layer by layer", "Activations and gradients"]


def test_the_first_layer_with_numbers_that_are_not_finite_is_named():
    model = Chain(Dense(3, 4, relu), Dense(4, 2), Dense(2, 2))
    model[1].weight.array[...] = np.nan
    body = dict(model.explain(np.float32([[1, 2, 3], [3, 2, 1]])).sections)
    assert "Layer 1, Dense(4, 2), gives numbers that are not finite" in body["The signal, layer by layer"]


def test_inputs_that_are_all_the_same_are_named():
    body = dict(Chain(Dense(3, 2)).explain(np.ones((3, 3), "float32")).sections)
    assert "All inputs are the same" in body["The signal, layer by layer"]


def test_small_images_are_covered_by_a_smaller_square():
    page = Chain(flatten, Dense(48, 3)).explain(np.random.default_rng(0).random((3, 4, 4, 3), "float32"))
    assert "grey square of 2 × 2 pixels" in dict(page.sections)["What it looks at"]


def test_a_batch_that_is_looked_at_once_has_no_history():
    page = Chain(Dense(3, 2)).explain(np.float32([[1, 2, 3], [3, 2, 1]]))
    assert "before training" not in page.html()


@pytest.mark.parametrize(
    ("model", "x", "said"),
    [
        (Chain(), np.ones((2, 3)), "a network with layers"),
        (Chain(Dense(3, 2)), np.ones(3), r"at least two inputs, got \(3,\)"),
        (Chain(Dense(3, 2)), np.ones((0, 3)), r"at least two inputs, got \(0, 3\)"),
        (Chain(Conv((1, 1), (3, 2))), np.ones((2, 4, 4, 3), "float32"), r"scores \(n, classes\), got \(2, 4, 4, 2\)"),
    ],
)
def test_what_cannot_be_explained_is_said(model, x, said):
    with pytest.raises(ValueError, match=f"explain: expected .*{said}"):
        model.explain(x)


@pytest.mark.parametrize("labels", [[0, 1], list(range(1, 21)), [0.5] * 20])
def test_labels_that_do_not_fit_are_named(labels, model, test_digits):
    with pytest.raises(ValueError, match=r"expected labels \(20,\) of whole numbers from 0 to 9"):
        explain_model(model, test_digits[0], np.array(labels))


def test_the_graph_has_each_layer_with_its_figures():
    drawing = layer_graph(
        summarise(Chain(Conv((3, 3), (3, 8), pad=1), SkipConnection(Conv((1, 1), (8, 8)), add)), (4, 4, 3))
    )
    for part in ("input 4 × 4 × 3", "Conv((3, 3), (3, 8), pad=1)", "224 parameters · 3.46 thousand multiply-adds",
                 "SkipConnection", "Conv((1, 1), (8, 8))", "4 × 4 × 8", "296 parameters"):  # fmt: skip
        assert part in drawing, part


def test_saliency_is_the_gradient_of_a_score(model, test_digits):
    images, _ = test_digits
    classes = probabilities(model, [images[:3]]).argmax(axis=1)
    maps = saliency(model, images[:3], classes)
    x = Tensor(images[:1].astype("float64"), requires_grad=True)
    wide = tiny().to(dtype="float64")
    wide.load({name: tensor.numpy().astype("float64") for name, tensor in model.tensors().items()})
    (wide(x)[0, int(classes[0])]).backward()
    np.testing.assert_allclose(maps[0], np.abs(x.grad.numpy()[0]).max(axis=2), rtol=1e-3, atol=1e-7)


def test_occlusion_is_how_far_the_probability_falls(model, test_digits):
    images, _ = test_digits
    believed = probabilities(model, [images[:2]])
    maps = occlusion(model, images[:2], believed.argmax(axis=1), believed.max(axis=1))
    side = (32 - PATCH) // STRIDE + 1
    assert maps.shape == (2, side, side)
    covered = images[1:2].copy()
    covered[:, 2 * STRIDE : 2 * STRIDE + PATCH, 3 * STRIDE : 3 * STRIDE + PATCH] = 0.5
    fall = believed[1].max() - probabilities(model, [covered])[0, believed[1].argmax()]
    assert maps[1, 2, 3] == pytest.approx(fall, abs=1e-6)


def test_probabilities_add_up_whether_the_network_ends_in_softmax_or_not(test_digits):
    images, _ = test_digits
    minidl.seed(0)
    scores = Chain(flatten, Dense(3072, 10))
    with_softmax = Chain(*scores, softmax)
    found = probabilities(scores, DataLoader(images, 7))
    np.testing.assert_allclose(found, probabilities(with_softmax, [images]), rtol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_the_confusion_matrix_counts():
    believed = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    made = confusion_matrix(believed, np.array([0, 1, 1]), ["cat", "<dog>"])
    assert "66.7% of 3 images are right" in made
    assert re.findall(r'<td class="share"[^>]*>(\d+)<', made) == ["1", "0", "1", "1"]
    assert "&lt;dog&gt;" in made


def test_the_surest_mistake_comes_first():
    images = np.zeros((3, 2, 2, 3), "float32")
    believed = np.array([[0.6, 0.4], [0.05, 0.95], [0.9, 0.1]])
    made = most_confidently_wrong(images, believed, np.array([1, 0, 0]), ["cat", "dog"])
    assert re.findall(r"taken for <b>(\w+)</b>, (\d+)%", made) == [("dog", "95"), ("cat", "60")]
    assert "Every image is right" in most_confidently_wrong(images, believed, np.array([0, 1, 0]), ["cat", "dog"])


def test_dead_units_are_those_that_were_seen():
    layer = {"name": "Dense(2, 2, relu)", "dead": 0.5}
    assert "Dense(2, 2, relu)" in dead_units([{"layers": [layer]}, {"layers": [layer]}])
    assert "No unit has been 0" in dead_units([{"layers": [layer | {"dead": None}]}])
    assert "No unit has been 0" in dead_units([{"layers": [layer | {"name": "Dropout(0.5)"}]}])  # of an older run


def test_the_layer_that_is_named_has_its_number_in_the_chain_and_softmax_is_never_it():
    def layer(name, signal):
        return {"name": name, "signal": signal, "gradient": 1.0}

    record = {"step": 0, "epoch": 0, "loss": 2.3026, "input_signal": 1.0}
    dying = record | {"layers": [layer("Conv(a)", 0.5), layer("Conv(b)", 0.009), layer("Dense(c)", 0.001)]}
    assert "The signal has died in layer 1, Conv(b)" in signal_charts([dying])
    assert "1% of the images" in signal_charts([dying])
    assert "The signal arrives" in signal_charts(
        [record | {"layers": [layer("Conv(a)", 0.5), layer("softmax", 0.001)]}]
    )


def test_images_that_are_all_the_same_have_a_page(model):
    assert "The signal" in model.explain(np.full((3, 32, 32, 3), 0.5, "f")).html()


def test_parameters_have_a_row_each_with_the_first_and_the_last_moment():
    sizes = [[{"name": "layers.0.weight", "weight": 0.5, "gradient": 0.25}],
             [{"name": "layers.0.weight", "weight": 0.75, "gradient": 0.125}]]  # fmt: skip
    shown = parameter_sizes([{"step": step, "epoch": step, "parameters": one} for step, one in enumerate(sizes)])
    cells = re.findall(r"<td>([^<]*)</td>", shown)
    assert cells == ["0.5", "0.75", "0.25", "0.125"]


def test_ticks_are_told_apart():
    shown = line_chart("Loss", {"training": [(1, 2.30252), (2, 2.30258)]}, "epoch", "cross-entropy")
    ticks = re.findall(r'text-anchor="end">([^<]*)<', shown)
    assert len(ticks) == len(set(ticks)) > 2


def test_pictures_are_the_pixels_they_were_made_of():
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 4), np.uint8)
    data = base64.b64decode(png(pixels).removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
    np.testing.assert_array_equal(heat(np.array([[0.0, 0.5, 2.0]]))[0, :, 3], [0, 128, 255])


@pytest.mark.parametrize("log", [False, True])
def test_a_chart_has_its_lines_inside_of_its_axes(log):
    points = [(0, 0.001), (1, 0.5), (2, 30.0)]
    made = line_chart("Sizes", {"one": points, "other": [(0, 3.0), (2, float("nan"))]}, "layer", "size", log)
    places = [tuple(map(float, place)) for place in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', made)]
    assert len(places) == 4  # nan is not drawn
    assert all(0 <= x <= 640 and 0 <= y <= 300 for x, y in places)
    assert places[0][1] > places[1][1] > places[2][1]  # larger is higher


def test_a_chart_of_nothing_says_so():
    assert "nothing to show" in line_chart("Sizes", {"one": [(0, 0.0)]}, "layer", "size", log=True)


def test_tensors_and_networks_show_themselves_in_notebooks():
    assert "<td>1.5</td>" in Tensor([[1.5, 2.0]])._repr_html_()
    assert "<pre>" in Tensor(np.zeros((20, 20, 3)))._repr_html_()
    assert "Dense" in Chain(Dense(2, 3))._repr_html_()


def test_signals_of_a_command_line_run_are_kept(finished_run):
    records = json.loads((finished_run / "signals.json").read_text())["records"]
    assert [record["step"] for record in records] == [0, 4, 8]
