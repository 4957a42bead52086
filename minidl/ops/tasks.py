"""How threads share tasks: each takes the next one as soon as it is done with its last.

So threads that are slowed down, by tasks that take longer or by other programs on their processor, take fewer of them.
A kernel lets every thread work in a loop until no task is left:

    for worker in prange(workers):
        task = take_task(counter)          # counter: an array of one int64, 0 at the start
        while task < tasks:
            ...
            task = take_task(counter)

Which thread does a task is chance, so no task may depend on another one, nor on scratch memory that a worker keeps.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def take_task(typing, counter):
    """counter[0], which becomes one larger before any other thread can read it."""

    def write(context, builder, signature, arguments):
        data = context.make_array(counter)(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(counter), write
