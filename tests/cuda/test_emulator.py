"""What stands for the GPU notices what a GPU would not forgive, and what it would silently get wrong."""

import numpy as np
import pytest
from emulator import strict_cupy as cupy
from emulator.program import ORDERS, KernelError, translated

pytestmark = pytest.mark.emulated


def run(code, *arguments, block=(64,), grid=(1,), order="ascending", traced=False, kernel="kernel<float>"):
    settings = cupy.settings
    before = settings.order, settings.traced
    settings.order, settings.traced = order, traced
    try:
        module = cupy.RawModule(code=code, options=("-std=c++17",), name_expressions=(kernel,))
        module.get_function(kernel)(grid, block, arguments)
    finally:
        settings.order, settings.traced = before
    return settings.costs.get(kernel)


def kernel(body, parameters="T* x"):
    return f"template <typename T>\n__global__ void kernel({parameters}) {{\n{body}\n}}"


# Threads, barriers, warps ---------------------------------------------------------------------------------------------

REVERSE = """
    __shared__ T row[64];
    row[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = row[63 - threadIdx.x];
"""


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("traced", [False, True])
def test_threads_meet_at_a_barrier(order, traced):
    x = cupy.asarray(np.arange(64, dtype=np.float32))
    run(kernel(REVERSE), x, order=order, traced=traced)
    assert x.get().tolist() == list(range(63, -1, -1))


@pytest.mark.parametrize("order", ORDERS)
def test_without_the_barrier_a_number_is_not_there_yet(order):
    """Shared memory holds nan until it is written, so that somebody gets one."""
    x = cupy.asarray(np.arange(64, dtype=np.float32))
    run(kernel(REVERSE.replace("__syncthreads();", "")), x, order=order)
    assert np.isnan(x.get()).any()


def test_blocks_and_threads_have_their_numbers():
    x = cupy.empty((2, 3, 4, 5, 2, 3), np.float32)
    body = """
    const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    x[block * blockDim.x * blockDim.y * blockDim.z + thread] = block * 1000 + thread;
    """
    run(kernel(body), x, grid=(4, 3, 2), block=(3, 2, 5))
    assert x.get().reshape(24, 30).tolist() == [[1000 * block + thread for thread in range(30)] for block in range(24)]


@pytest.mark.parametrize("order", ORDERS)
def test_lanes_of_a_warp_exchange_numbers(order):
    body = """
    const T own = x[threadIdx.x];
    x[threadIdx.x] = 10000 * __shfl_xor_sync(0xffffffff, own, 1) + 100 * __shfl_down_sync(0xffffffff, own, 2)
                     + __shfl_sync(0xffffffff, own, 5);
    """
    x = cupy.asarray(np.arange(64, dtype=np.float64))
    run(kernel(body), x, order=order, kernel="kernel<double>")
    expected = [10000 * (i ^ 1) + 100 * (i + 2 if i % 32 < 30 else i) + i // 32 * 32 + 5 for i in range(64)]
    assert x.get().tolist() == expected


WRONG = [
    ("if (threadIdx.x < 40)\n__syncthreads();\nelse\n__syncthreads();", "wait at different barriers"),
    ("if (threadIdx.x == 9) return;\n__syncthreads();", "1 of 64 threads have already returned"),
    ("if (threadIdx.x < 9) x[0] = __shfl_sync(0xffffffff, x[0], 1);\nelse __syncthreads();", "wait for each other for"),
    ("x[0] = __shfl_sync(0xff, x[0], 1);", "a thread is not in the mask that it gives"),
    ("__shared__ T large[20000]; large[0] = 1;", "more than 48 KiB of shared memory"),
]


@pytest.mark.parametrize(("body", "message"), WRONG)
def test_a_kernel_that_would_hang_is_noticed(body, message):
    with pytest.raises(KernelError, match=message):
        run(kernel(body), cupy.empty(64, np.float32))


# Tracing --------------------------------------------------------------------------------------------------------------

TRACED = [
    ("x[threadIdx.x + 1] = 1;", r"gpu\.cu:3: write out of bounds of no array"),
    ("x[threadIdx.x] = x[threadIdx.x - 1];", r"gpu\.cu:3: read out of bounds of no array"),
    (
        REVERSE.replace("__syncthreads();", ""),
        r"gpu\.cu:7: race of a read with a write of row, .* op/gpu\.cu:5: thread",
    ),
    (
        "T own[4]; own[x[threadIdx.x] == 0 ? 4 : 0] = 1; x[threadIdx.x] = own[0];",
        "index out of the bounds of a variable",
    ),
    ("x[0] = threadIdx.x;", r"gpu\.cu:3: race of two writes of an array \(64,\)"),
    ("T own = x[threadIdx.x ^ 1]; x[threadIdx.x] = own;", "race of a write with a read"),
]


@pytest.mark.parametrize(("body", "message"), TRACED)
@pytest.mark.parametrize("order", ORDERS)
def test_tracing_finds_races_and_what_is_out_of_bounds(body, message, order):
    with pytest.raises(KernelError, match=message):
        run('#line 1 "op/gpu.cu"\n' + kernel(body), cupy.zeros(64, np.float32), order=order, traced=True)


def test_blocks_race_whatever_barriers_there_are():
    with pytest.raises(KernelError, match=r"race .* of block 0 and thread 0 of block 1"):
        run(
            kernel("__syncthreads(); if (threadIdx.x == 0) x[0] = 1;"),
            cupy.zeros(64, np.float32),
            grid=(2,),
            traced=True,
        )


def test_a_barrier_of_a_warp_orders_its_lanes():
    body = """
    __shared__ T row[64];
    row[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    x[threadIdx.x] = row[threadIdx.x ^ 31];
    """
    x = cupy.zeros(64, np.float32)
    run(kernel(body), x, traced=True)
    with pytest.raises(KernelError, match="race"):
        run(kernel(body.replace("^ 31", "^ 32")), x, traced=True)  # the other warp's


@pytest.mark.parametrize(
    ("index", "sectors"), [("threadIdx.x", 1), ("threadIdx.x / 2", 1), ("2 * threadIdx.x", 2), ("8 * threadIdx.x", 8)]
)
def test_sectors_of_global_memory_are_counted(index, sectors):
    (cost,) = run(kernel(f"x[{index}];\nvolatile T y = x[{index}];"), cupy.zeros(512, np.float32), traced=True)
    assert (cost.space, cost.kind, cost.requests, cost.sectors) == ("global", "read", 2, sectors)


@pytest.mark.parametrize(("step", "turns"), [(1, 1), (2, 2), (32, 32), (33, 1)])
def test_turns_at_banks_of_shared_memory_are_counted(step, turns):
    body = f"__shared__ T row[33 * 32];\nrow[{step} * (threadIdx.x % 32)] = 1;"
    (cost,) = run(kernel(body), cupy.zeros(64, np.float32), block=(32,), traced=True)
    assert (cost.space, cost.kind, cost.turns) == ("shared", "write", turns)


def test_the_source_is_changed_only_where_shared_variables_are_declared():
    code = "int a; // a comment\n__shared__ T x[2][3], y;\nint b;"
    lines = translated(code).split("\n")
    assert (lines[0].strip(), lines[2]) == ("int a;", "int b;")
    assert lines[1].count("emulator::shared_memory") == 2
    assert "using Type_of_x = T [2][3];" in lines[1]


# Arguments ------------------------------------------------------------------------------------------------------------

COPY = kernel("x[threadIdx.x] = y * count;", "T* x, T y, int count")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda x: (x, np.float32(1)), "2 arguments for 3 parameters"),
        (lambda x: (x, np.float32(1), 2), "argument 2: expected an array or a NumPy number, got int"),
        (lambda x: (x, np.float64(1), np.int32(2)), "argument 1: a float64 for a f4"),
        (lambda x: (x, np.float32(1), np.int64(2)), "argument 2: a int64 for a i4"),
        (
            lambda x: (x.astype("float64"), np.float32(1), np.int32(2)),
            "argument 0: an array of float64 for a pointer to f4",
        ),
        (lambda x: (x.reshape(8, 8).T, np.float32(1), np.int32(2)), "argument 0: an array that is not contiguous"),
        (
            lambda x: (x.get(), np.float32(1), np.int32(2)),
            "argument 0: expected an array or a NumPy number, got ndarray",
        ),
        (lambda x: (x, x, np.int32(2)), "argument 1: an array for a f4"),
        (lambda x: (np.zeros(1, [("a", "i4")]), np.float32(1), np.int32(2)), "a struct of 4 bytes for a Pf4"),
    ],
)
def test_arguments_that_the_kernel_does_not_declare_are_refused(arguments, message):
    with pytest.raises(KernelError, match=message):
        run(COPY, *arguments(cupy.zeros(64, np.float32)))


@pytest.mark.parametrize(("grid", "block"), [((0,), (64,)), ((1, 65536), (64,)), ((1,), (1025,)), ((1,), (1, 1, 65))])
def test_grids_and_blocks_that_no_card_takes_are_refused(grid, block):
    with pytest.raises(KernelError, match="CUDA_ERROR_INVALID_VALUE"):
        run(COPY, cupy.zeros(64, np.float32), np.float32(1), np.int32(2), grid=grid, block=block)


def test_what_does_not_compile_says_why():
    with pytest.raises(KernelError, match="nonsense"):
        run(kernel("nonsense;"), cupy.zeros(64, np.float32))
    with pytest.raises(KernelError, match="named symbol not found"):
        cupy.RawModule(code="", options=("-std=c++17",), name_expressions=()).get_function("kernel<float>")


# Arrays ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mixed",
    [
        lambda x, host: x + host,
        lambda x, host: host + x,
        lambda x, host: cupy.add(host, 1),
        lambda x, host: cupy.where(x > 0, host, x),
        lambda x, host: x[host.astype(int)],
        lambda x, host: x.__setitem__(slice(None), host),
        lambda x, host: np.asarray(x),
        lambda x, host: np.exp(x),
    ],
)
def test_arrays_of_the_host_do_not_mix_with_those_of_the_device(mixed):
    with pytest.raises(TypeError):
        mixed(cupy.zeros(3), np.ones(3))


def test_functions_and_methods_that_cupy_lacks_are_not_there():
    for thing, name in [(cupy, "busday_count"), (cupy, "no_such_function"), (cupy.zeros(3), "setflags")]:
        assert not hasattr(thing, name)


def test_arrays_compute_as_numpy_does():
    x = cupy.asarray(np.arange(6.0).reshape(2, 3))
    assert isinstance(x.sum(), cupy.ndarray)
    assert float(x.sum()) == 15
    assert (2 * x - x / 2).get().tolist() == [[0, 1.5, 3], [4.5, 6, 7.5]]
    assert x[:, cupy.asarray([0, 0])].get().tolist() == [[0, 0], [3, 3]]
    x += 1
    assert x.T.get().tolist() == [[1, 4], [2, 5], [3, 6]]
    assert np.isnan(cupy.empty(3).get()).all()
    assert cupy.concatenate([x, x]).shape == (4, 3)


def test_the_names_are_those_of_cupy_where_it_is_installed():
    """Its real self can be imported without a driver."""
    import importlib.util
    import subprocess
    import sys

    if importlib.util.find_spec("cupy_backends") is None:
        pytest.skip("needs the package cupy")
    names = subprocess.run(
        [sys.executable, "-c", "import cupy; print(*dir(cupy), *dir(cupy.ndarray))"], capture_output=True, text=True
    )
    assert set(names.stdout.split()) >= cupy._MODULE | cupy._MEMBERS


# Streams --------------------------------------------------------------------------------------------------------------


def test_a_copy_is_there_when_it_has_been_waited_for_and_not_before():
    copies, event, x = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Event(), cupy.empty(2)
    pinned = np.array([1.0, 2.0])
    x.set(pinned, stream=copies)
    event.record(copies)
    assert np.isnan(x.get()).all()
    cupy.cuda.get_current_stream().wait_event(event)
    assert x.get().tolist() == [1, 2]
