"""docs/keras.md lists every supported name of Keras with its arguments, and nothing else."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "keras.md"
MODULES = [
    "layers", "models", "optimizers", "optimizers.schedules", "losses", "metrics", "callbacks", "initializers",
    "regularizers", "activations", "datasets", "utils", "backend", "saving",
]  # fmt: skip


def arguments(thing):
    """What can be given, with defaults, as it is written in a call: "filters, strides=(1, 1), **kwargs"."""
    if not callable(thing):
        return ""
    shown = []
    for parameter in inspect.signature(thing).parameters.values():
        plain = parameter.replace(annotation=inspect.Parameter.empty)
        shown.append("*" if plain.kind is plain.VAR_POSITIONAL and not plain.name else str(plain))
    return ", ".join(shown)


def public(module):
    """The public things of a module by name; other names of a thing stand behind its own."""
    found = {}
    for name in module.__all__:
        thing = getattr(module, name)
        key = thing if inspect.isclass(thing) or inspect.isroutine(thing) else name
        names = found.setdefault(id(key) if key is thing else name, ([], thing))[0]
        names.append(name)
    return {tuple(sorted(names, key=lambda n: (n != getattr(thing, "__name__", n), n))): thing
            for names, thing in found.values()}  # fmt: skip


def rows_of(module):
    return {
        " · ".join(f"`{name}`" for name in names): f"`{arguments(thing)}`" if arguments(thing) else ""
        for names, thing in sorted(public(module).items())
    }


MINIDLS = {  # how layers and models work with each other here; Keras has no such methods
    "class_name", "layers_inside", "load_state", "make", "named_parts", "named_weights", "own_weights", "parts",
    "penalties", "placed_weights", "save_state", "weights_by_place",
}  # fmt: skip


def methods_of_models():
    """Keras's methods of Sequential, which has all, by name."""
    model = importlib.import_module("minidl.keras").Sequential
    names = [name for name in dir(model) if name[0] != "_" and inspect.isroutine(getattr(model, name))]
    return {f"`{name}`": f"`{arguments(getattr(model, name)).removeprefix('self, ')}`".replace("`self`", "")
            for name in names if name not in MINIDLS}  # fmt: skip


def documented(section):
    """The rows of a section's table: the first two columns."""
    text = PAGE.read_text(encoding="utf-8")
    match = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert match, f"docs/keras.md has no section {section}"
    lines = [line for line in match[1].splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0].strip("| "): row[1].strip("| ") for row in cells}


@pytest.mark.parametrize("name", MODULES)
def test_every_name_and_argument_is_listed(name):
    assert documented(name) == rows_of(importlib.import_module(f"minidl.keras.{name}"))


def test_every_method_of_a_model_is_listed():
    assert documented("methods of a model") == methods_of_models()


def test_the_package_lists_its_names():
    package = importlib.import_module("minidl.keras")
    modules = {name for name in package.__all__ if inspect.ismodule(getattr(package, name))}
    assert modules == {name for name in MODULES if "." not in name}


REFUSED = {
    "layers": ("LSTM", "no layers for sequences"),
    "callbacks": ("RemoteMonitor", "LambdaCallback"),
    "utils": ("image_dataset_from_directory", "DataLoader"),
    "datasets": ("imdb", "cifar10, mnist or digits"),
}


@pytest.mark.parametrize("module", REFUSED)
def test_what_keras_has_and_minidl_has_not_is_refused_by_name(module):
    name, hint = REFUSED[module]
    with pytest.raises(NotImplementedError, match=f"minidl.keras.{module}: Keras's {name} is not supported; .*{hint}"):
        exec(f"from minidl.keras.{module} import {name}")
    with pytest.raises(AttributeError, match="has no attribute 'nonsense"):
        getattr(importlib.import_module(f"minidl.keras.{module}"), "nonsense" + module)
