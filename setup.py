"""Where the packages lie: `models/` and `data/` stand beside `minidl/` but install as minidl.models and minidl.data.

Everything else about the project (name, dependencies, tools) is in pyproject.toml.
"""

from setuptools import find_packages, setup

FOLDERS = {"minidl": "minidl", "minidl.models": "models", "minidl.data": "data"}

packages = [
    ".".join([package, *inner.split(".")]) if inner else package
    for package, folder in FOLDERS.items()
    for inner in ["", *find_packages(folder)]
]

FILES = ["*.cu", "*.cuh", "*.npz", "*.md", "*.css", "*.js", "py.typed", "explanations/*.md", "figures/*.js"]

setup(packages=packages, package_dir=FOLDERS, package_data={"": FILES})
