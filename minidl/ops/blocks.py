"""How the fast kernels share work that is limited by the memory: rows in equal blocks, one after the other.

The number of blocks is fixed, so that sums over them are added up in the same order for any number of threads. Few
numbers are one block, and need no other thread: to start those takes as long as to work through 30,000 numbers, and as
long as a time slice of the operating system when other processes use the processors.
"""

BLOCKS = 32
FEW = 2**15  # numbers
