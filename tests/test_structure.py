"""The rules of the folders: what may import what, and which files belong together."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from minidl.ops.kernel_cache import NOT_COMPILED

ROOT = Path(__file__).parents[1]
PACKAGES = {"minidl": ROOT / "minidl", "minidl.models": ROOT / "models", "minidl.data": ROOT / "data"}

# Imports point only up this list. A name with a dot at its end stands for a folder.
READING_ORDER = [
    "minidl.folders", "minidl.whole_numbers", "minidl.backend", "minidl.modes", "minidl.randomness", "minidl.tensor",
    "minidl.dlpack", "minidl.operands", "minidl.ops.", "minidl.functions", "minidl.gradient_check.",
    "minidl.gradient_examples", "minidl.layers.", "minidl.losses", "minidl.metrics", "minidl.optimiser_base",
    "minidl.gradient_rules", "minidl.optimisers", "minidl.schedules", "minidl.training.", "minidl.interchange.",
    "minidl.models.", "minidl.data.", "minidl.keras.",
    "minidl.", "minidl.explain.", "minidl.displays", "minidl.exercises.", "minidl.commands", "minidl.cli",
]  # fmt: skip
OPS_READING_ORDER = [
    "minidl.ops.windows", "minidl.ops.axis_sums", "minidl.ops.shaping", "minidl.ops.elementwise",
    "minidl.ops.arithmetic", "minidl.ops.sum.op",
    "minidl.ops.reductions", "minidl.ops.cuda", "minidl.ops.tiles", "minidl.ops.column_sums", "minidl.ops.blocks",
    "minidl.ops.threads", "minidl.ops.kernel_cache", "minidl.ops.compiling", "minidl.ops.simd",
    "minidl.ops.copying", "minidl.ops.register_tile", "minidl.ops.tasks", "minidl.ops.products",
    "minidl.ops.exponentials", "minidl.ops.",
]  # fmt: skip
NUMBA_NAMES = [
    "threads", "kernel_cache", "compiling", "simd", "copying", "register_tile", "tasks", "products", "exponentials",
]  # fmt: skip
NUMBA_FILES = {f"minidl.ops.{name}" for name in NUMBA_NAMES}
NOT_KERNELS = {"op", "evaluation", "reference"}


def module_files():
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join([package, *(parts[:-1] if parts[-1] == "__init__" else parts)]), path


MODULES = dict(module_files())
OP_FOLDERS = sorted(path.parent.name for path in (ROOT / "minidl" / "ops").glob("*/op.py"))


def imports(path):
    """The full name of every module that a file imports, where it does so only for type checks included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full, not with dots"
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield inner if inner in MODULES else node.module


def place(module, order):
    """The position in the list of the longest name that fits."""
    fitting = [name for name in order if module == name.rstrip(".") or (name[-1] == "." and module.startswith(name))]
    return order.index(max(fitting, key=len)) if fitting else None


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_up_the_reading_order(module):
    if module == "minidl":
        return  # it gathers the public names
    for order in [READING_ORDER, OPS_READING_ORDER]:
        here = place(module, order)
        for imported in imports(MODULES[module]):
            there = place(imported, order)
            if None not in (here, there):
                assert there <= here, f"{module} comes before {imported}"


@pytest.mark.parametrize("module", MODULES)
def test_array_libraries_are_imported_where_they_belong(module):
    imported = {name.split(".")[0] for name in imports(MODULES[module])}
    in_kernel_folder = module.startswith("minidl.ops.") and module.count(".") == 3
    if module not in NUMBA_FILES and not (in_kernel_folder and module.split(".")[-1] not in NOT_KERNELS):
        assert "numba" not in imported
    if module not in {"minidl.backend", "minidl.ops.cuda"}:
        assert "cupy" not in imported
    if module.startswith("minidl.ops.") and module.endswith((".reference", ".cpu", ".gpu")):
        assert "minidl.tensor" not in set(imports(MODULES[module])), "kernels see arrays, never Tensors"


@pytest.mark.parametrize("module", MODULES)
def test_kernels_import_only_what_their_cache_looks_at(module):
    imported = [name for name in imports(MODULES[module]) if name.startswith("minidl.")]
    if module.startswith("minidl.ops.") and "minidl.ops.compiling" in imported:
        for name in imported:
            assert name.startswith("minidl.ops.")
            assert MODULES[name].name not in NOT_COMPILED


@pytest.mark.parametrize("module", MODULES)
def test_nothing_loads_pickles(module):
    assert not {"pickle", "shelve", "dill", "joblib"} & {name.split(".")[0] for name in imports(MODULES[module])}
    assert "allow_pickle=True" not in MODULES[module].read_text(encoding="utf-8")


@pytest.mark.parametrize("module", MODULES)
def test_files_can_be_read_in_one_sitting(module):
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= 330 or module == "minidl.tensor"


@pytest.mark.parametrize("op", OP_FOLDERS)
def test_a_kernel_op_is_a_folder_of_the_same_files(op):
    folder = ROOT / "minidl" / "ops" / op
    files = {"__init__.py", "op.py", "reference.py", "cpu.py", "gpu.py", "gpu.cu"}
    assert files <= {path.name for path in folder.iterdir()}


def public_functions(path):
    """Name -> argument names, read from the source: the file of a GPU cannot be imported everywhere."""
    return {
        node.name: [argument.arg for argument in node.args.args]
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and not node.decorator_list
    }


@pytest.mark.parametrize("op", OP_FOLDERS)
def test_every_backend_defines_the_same_functions(op):
    folder = ROOT / "minidl" / "ops" / op
    expected = public_functions(folder / "reference.py")
    assert expected
    for path in [folder / "cpu.py", folder / "gpu.py"]:
        assert public_functions(path) == expected


def test_every_module_says_what_it_is_for():
    assert [module for module, path in MODULES.items() if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_every_public_name_has_a_docstring():
    package = importlib.import_module("minidl")
    things = {name: getattr(package, name) for name in package.__all__}
    assert [name for name, thing in things.items() if callable(thing) and not inspect.getdoc(thing)] == []


def test_files_of_tests_have_names_of_their_own():
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(set(names)) == sorted(names)


def test_no_test_folder_hides_a_library():
    """tests/ is on the import path: `import torch` would find a folder tests/torch where PyTorch is absent."""
    libraries = {"torch", "tensorflow", "keras", "jax", "cupy", "numba", "numpy", "rich", "safetensors", "matplotlib"}
    assert not libraries & {path.stem for path in (ROOT / "tests").iterdir()}
