"""How the CPU kernels share work among threads.

Sums over many rows are taken for a fixed number of blocks of rows, one after the other, and then added up in order: the
result is the same for any number of threads. Few numbers are not shared at all: waking another thread takes as long as
working through them, and a time slice of the operating system, a thousand times longer, when other processes use the
processors.
"""

BLOCKS = 32
FEW = 2**14  # numbers in each array
