"""NVIDIA's runtime compiler, called through ctypes: it makes machine code without a driver or a GPU."""

import ctypes
import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Turing, A100, H100, B200, RTX 50: the oldest that CUDA 13 compiles for, and what people have
CUPY_OPTIONS = ["-ftz=true", "--device-as-default-execution-space"]  # which it adds by itself
ARCHITECTURES = ["sm_75", "sm_80", "sm_90", "sm_100", "sm_120"]


@dataclass(frozen=True)
class Resources:
    """What a thread or block of a compiled kernel takes."""

    registers: int
    shared_bytes: int
    spilled_bytes: int  # of a thread's numbers, which went to memory because registers ran out


@cache
def library() -> ctypes.CDLL | None:
    """The wheel nvidia-cuda-nvrtc's library; None where it is not installed."""
    nvidia = importlib.util.find_spec("nvidia")
    for folder in nvidia.submodule_search_locations if nvidia else []:
        for path in sorted(Path(folder).glob("*/lib/libnvrtc.so.*")):
            for built_in in path.parent.glob("libnvrtc-builtins.so.*"):
                ctypes.CDLL(str(built_in))  # the compiler asks for it by name, and finds what is loaded
            return ctypes.CDLL(str(path))
    return None


def compile_kernels(source: str, kernels: list[str], architecture: str) -> dict[str, Resources]:
    """Machine code of kernels such as "forward<float>"; returns what each takes. ValueError with the compiler's log."""
    nvrtc, program = library(), ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"gpu.cu", 0, None, None)
    try:
        for kernel in kernels:
            nvrtc.nvrtcAddNameExpression(program, kernel.encode())
        options = [f"--gpu-architecture={architecture}", "-std=c++17", *CUPY_OPTIONS, "--ptxas-options=-v"]
        failed = nvrtc.nvrtcCompileProgram(
            program, len(options), (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        )
        log = _log(program)
        if failed:
            raise ValueError(log)
        found = _resources(log)
        return {kernel: found[_lowered(program, kernel)] for kernel in kernels}
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _log(program: ctypes.c_void_p) -> str:
    size = ctypes.c_size_t()
    library().nvrtcGetProgramLogSize(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    library().nvrtcGetProgramLog(program, text)
    return text.value.decode()


def _lowered(program: ctypes.c_void_p, kernel: str) -> str:
    """The name that the compiler gave a kernel."""
    name = ctypes.c_char_p()
    library().nvrtcGetLoweredName(program, kernel.encode(), ctypes.byref(name))
    return name.value.decode()


def _resources(log: str) -> dict[str, Resources]:
    """Read what ptxas says of each kernel."""
    found = {}
    for part in log.split("Compiling entry function '")[1:]:
        numbers = {
            what: re.search(pattern, part)
            for what, pattern in {
                "registers": r"Used (\d+) registers",
                "shared_bytes": r"(\d+) bytes smem",
                "spilled_bytes": r"(\d+) bytes spill stores",
            }.items()
        }
        found[part.split("'")[0]] = Resources(**{what: int(n[1]) if n else 0 for what, n in numbers.items()})
    return found
