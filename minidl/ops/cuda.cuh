// What kernels share. Arrays lie in memory row by row: x[n][h][w][c] is x[((n * H + h) * W + w) * C + c].

struct Shape { int n, h, w, c; };  // of images

struct Windows {  // how windows lie on images, see windows.py
    int height, width, stride_h, stride_w, top, bottom, left, right, dilation_h, dilation_w;
};

// Where a number lies in images of a shape.
struct Place { int n, h, w, c; };

__device__ inline Place place(int index, Shape shape) {
    int pixel = index / shape.c, row = pixel / shape.w;
    return {row / shape.h, row % shape.h, pixel % shape.w, index % shape.c};
}

__device__ inline int index_of(Place at, Shape shape) {
    return ((at.n * shape.h + at.h) * shape.w + at.w) * shape.c + at.c;
}

// Which windows hold a pixel: position i starts at i * stride - before, so it holds pixels from there on to
// i * stride - before + size - 1. The first and the last one (which may not exist) that hold `pixel`:
__device__ inline int first_window(int pixel, int size, int stride, int before) {
    return max(0, pixel + before - size + stride) / stride;
}
__device__ inline int last_window(int pixel, int stride, int before, int count) {
    return min(count - 1, (pixel + before) / stride);
}

// A kernel with a thread for each number visits i = first_index(), first_index() + thread_count(), ... below the count:
// neighbouring threads take neighbouring numbers, which the card reads from memory in one piece.
__device__ inline int first_index() { return blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline int thread_count() { return gridDim.x * blockDim.x; }

template <typename T>
__device__ T relu(T x) { return x < 0 ? T(0) : x; }  // of nan, nan
