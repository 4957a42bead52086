"""Stands for a GPU: a strict stand-in for CuPy, whose CUDA kernels are compiled with g++ and run on fibers."""
