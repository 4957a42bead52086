"""Prints docs/gpu.md's table of kernels: what each takes of a card, and what its accesses to memory cost.

python tests/cuda/kernel_table.py
"""

from emulator import strict_cupy

strict_cupy.install()

from kernel_list import CUDA_FILES, kernels_of  # noqa: E402
from nvrtc import compile_kernels  # noqa: E402
from test_traced import traced  # noqa: E402

from minidl.ops import cuda  # noqa: E402

PRICES = {"global": lambda cost: cost.sectors, "shared": lambda cost: cost.turns}


def main() -> None:
    print("| op | kernel | registers, A100 / H100 | shared memory | sectors | turns |\n|---|---|---|---|---|---|")
    for path in CUDA_FILES:
        kernels = [kernel for kernel in kernels_of(path) if "double" not in kernel]
        takes = [compile_kernels(cuda.source(path), kernels, architecture) for architecture in ("sm_80", "sm_90")]
        costs = traced(path)
        for name in dict.fromkeys(kernel.split("<")[0] for kernel in kernels):
            forms = [kernel for kernel in kernels if kernel.split("<")[0] == name]
            registers = " / ".join(str(max(of_card[form].registers for form in forms)) for of_card in takes)
            shared = max(takes[0][form].shared_bytes for form in forms)
            dearest = [_dearest(name, space, costs) for space in PRICES]
            print(f"| {path.parent.name} | `{name}` | {registers} | {shared or ''} | {' | '.join(dearest)} |")


def _dearest(name: str, space: str, costs: dict[str, list[strict_cupy.Cost]]) -> str:
    """The price of the dearest access of all forms of a kernel, with its line."""
    of_kernel = [cost for kernel, lines in costs.items() if kernel.split("<")[0] == name for cost in lines]
    worst = max((cost for cost in of_kernel if cost.space == space), key=PRICES[space], default=None)
    return "" if worst is None else f"{PRICES[space](worst):.1f}, {worst.kind} in {worst.line}"


if __name__ == "__main__":
    main()
