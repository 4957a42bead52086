"""What `minidl export` does: a network in a file for another library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from minidl import recipe
from minidl.backend import use_backend
from minidl.choices import UsageError
from minidl.interchange import export_onnx, save_keras_weights, save_torchvision
from minidl.layers import Chain
from minidl.randomness import seed
from minidl.training.run_folder import RUN_FILES, RunFolder

IMAGES = (1, 32, 32, 3)  # of both data sets

WRITERS: dict[str, Callable[[str, Chain], None]] = {
    "onnx": lambda out, model: export_onnx(out, model, IMAGES),
    "torchvision": lambda out, model: save_torchvision(out, model, IMAGES),
    "keras": save_keras_weights,
}


def export(source: str, form: str, out: str) -> str:
    """Write the network of a run folder, or a fresh one of that name, to file `out`; returns a line that says so.

    UsageError for a source that is neither, or a file that belongs to a run; the errors of run folder and writer.
    """
    target = Path(out).resolve()
    if target.name in RUN_FILES and (target.parent / "config.json").is_file():
        raise UsageError(f"{out} is a file of a run, which would be lost; choose another name")
    if (Path(source) / "config.json").is_file():
        model, weights = _trained(RunFolder(source)), f"the weights of {source}"
    elif source in recipe.MODELS:
        seed(0)
        model, weights = recipe.MODELS[source](), "untrained weights"
    else:
        raise UsageError(f"{source!r} is neither a run folder nor a model: expected a folder with config.json, or one "
                         f"of {', '.join(recipe.MODELS)}")  # fmt: skip
    WRITERS[form](out, model)
    return f"{out}: {weights}"


def _trained(folder: RunFolder) -> Chain:
    """The network with the weights of its checkpoint, on the CPU wherever it was trained."""
    settings = recipe.read_settings(folder)
    seed(settings.seed)  # the checkpoint is refused beside another one
    with use_backend("cpu"):
        model = recipe.MODELS[settings.model]()
    folder.load_checkpoint(model)
    return model
