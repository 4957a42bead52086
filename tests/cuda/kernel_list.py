"""Every kernel in the .cu files, with all the types and flags that it can be launched with."""

import re
from itertools import product
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "minidl" / "ops"
CUDA_FILES = sorted(FOLDER.glob("*/gpu.cu"))
CHOICES = {"typename T": ["float", "double"], "typename Choice": ["unsigned char", "unsigned int"]}


def kernels_of(path: Path) -> list[str]:
    """Such as ["forward<float>", "forward<double>"]."""
    found = re.findall(r"template <([^>]+)>\s+__global__ void (\w+)\(", path.read_text(encoding="utf-8"))
    return [
        f"{name}<{', '.join(values)}>"
        for parameters, name in found
        for values in product(
            *(CHOICES.get(parameter.strip(), ["true", "false"]) for parameter in parameters.split(","))
        )
    ]
