"""What can be computed. A file per family of array ops, and a folder for each op with hand-written kernels."""
