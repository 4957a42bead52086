"""The reference on the site leaves out no public name, and names nothing that is not there."""

import importlib
import inspect
import re

import pytest
from page_blocks import DOCS

PACKAGES = [
    "minidl", "minidl.functions", "minidl.losses", "minidl.metrics", "minidl.optimisers", "minidl.gradient_rules",
    "minidl.schedules", "minidl.training", "minidl.data", "minidl.models", "minidl.interchange",
]  # fmt: skip
# ::: minidl.functions, and below it, indented, options: such as members: [relu, tanh]
ENTRY = re.compile(r"^::: (?P<name>[\w.]+)\n(?P<options>(?: +.*\n)*)", re.MULTILINE)
ENTRIES = [
    (entry["name"], re.search(r"members: \[(.*?)\]", entry["options"]))
    for page in sorted((DOCS / "reference").glob("*.md"))
    for entry in ENTRY.finditer(page.read_text(encoding="utf-8"))
]


def named(path):
    """The module or the thing in a module of that name."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, name = path.rsplit(".", 1)
        return getattr(named(module), name)


def public(module):
    """The public things of a module by name: what __all__ lists, or else what is written there."""
    names = getattr(module, "__all__", None) or [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__
    ]
    things = {name: getattr(module, name) for name in names}
    return {name: thing for name, thing in things.items() if inspect.isclass(thing) or inspect.isroutine(thing)}


def documented():
    """All things that the reference describes."""
    for path, members in ENTRIES:
        thing = named(path)
        if members:
            yield from (getattr(thing, name) for name in members[1].split(", "))
        elif inspect.ismodule(thing):
            yield from public(thing).values()
        else:
            yield thing


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_in_the_reference(package):
    described = list(documented())
    missing = [name for name, thing in public(importlib.import_module(package)).items() if thing not in described]
    assert missing == []


def test_what_is_described_has_a_docstring():
    things = list(documented())
    assert len(things) > 150
    without = [str(thing) for thing in things if not inspect.getdoc(thing)]
    for thing in filter(inspect.isclass, things):
        without += [f"{thing.__name__}.{name}" for name in vars(thing) if name[0] != "_" and not says(thing, name)]
    assert without == []


def says(thing, name):
    """Whether a member of a class needs no docstring, has one, or has that of the method whose place it takes."""
    member = inspect.getattr_static(thing, name)
    if isinstance(member, property):
        return bool(inspect.getdoc(member))
    return not inspect.isroutine(getattr(thing, name)) or bool(inspect.getdoc(getattr(thing, name)))
