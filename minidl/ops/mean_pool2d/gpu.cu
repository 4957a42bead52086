// A thread for each number of the result. Padding counts as zeros.
#include "cuda.cuh"

template <typename T>
__global__ void forward(const T* x, T* y, Shape x_shape, Shape y_shape, Windows windows, int count) {
    for (int i = first_index(); i < count; i += thread_count()) {
        const Place at = place(i, y_shape);
        const int top = at.h * windows.stride_h - windows.top, left = at.w * windows.stride_w - windows.left;
        double sum = 0;
        for (int row = max(0, top); row < min(top + windows.height, x_shape.h); ++row)
            for (int column = max(0, left); column < min(left + windows.width, x_shape.w); ++column)
                sum += x[index_of({at.n, row, column, at.c}, x_shape)];
        y[i] = sum / (windows.height * windows.width);
    }
}

// Windows may overlap: each pixel collects its part of the numbers of all windows that hold it.
template <typename T>
__global__ void gradient(const T* dy, T* dx, Shape x_shape, Shape y_shape, Windows windows, int count) {
    for (int p = first_index(); p < count; p += thread_count()) {
        const Place at = place(p, x_shape);
        const int last_i = last_window(at.h, windows.stride_h, windows.top, y_shape.h);
        const int last_j = last_window(at.w, windows.stride_w, windows.left, y_shape.w);
        double sum = 0;
        for (int i = first_window(at.h, windows.height, windows.stride_h, windows.top); i <= last_i; ++i)
            for (int j = first_window(at.w, windows.width, windows.stride_w, windows.left); j <= last_j; ++j)
                sum += dy[index_of({at.n, i, j, at.c}, y_shape)];
        dx[p] = sum / (windows.height * windows.width);
    }
}
