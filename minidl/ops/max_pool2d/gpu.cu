// A thread for each number of the result. A Choice is the number ki * width + kj of the tap that won.
#include "cuda.cuh"

template <typename T, typename Choice>
__global__ void forward(
    const T* x, T* y, Choice* choice, Shape x_shape, Shape y_shape, Windows windows, int count
) {
    for (int i = first_index(); i < count; i += thread_count()) {
        const Place at = place(i, y_shape);
        const int top = at.h * windows.stride_h - windows.top, left = at.w * windows.stride_w - windows.left;
        int winner = -1;
        T largest = 0;
        for (int ki = 0; ki < windows.height; ++ki)
            for (int kj = 0; kj < windows.width; ++kj) {
                const int row = top + ki, column = left + kj;
                if (row < 0 || row >= x_shape.h || column < 0 || column >= x_shape.w) continue;  // padding cannot win
                const T number = x[index_of({at.n, row, column, at.c}, x_shape)];
                const bool is_first_nan = number != number && largest == largest;  // which is larger than all else
                if (winner < 0 || number > largest || is_first_nan) {
                    winner = ki * windows.width + kj;
                    largest = number;
                }
            }
        y[i] = largest;
        choice[i] = winner;
    }
}

template <typename T, typename Choice>
__global__ void gather(
    const T* x, const Choice* choice, T* y, Shape x_shape, Shape y_shape, Windows windows, int count
) {
    for (int i = first_index(); i < count; i += thread_count()) {
        const Place at = place(i, y_shape);
        const int tap = choice[i];
        const int row = at.h * windows.stride_h + tap / windows.width - windows.top;
        const int column = at.w * windows.stride_w + tap % windows.width - windows.left;
        y[i] = x[index_of({at.n, row, column, at.c}, x_shape)];
    }
}

// Windows may overlap. Instead of adding numbers to pixels, which two threads could do at once, each pixel collects the
// numbers of the windows that chose it.
template <typename T, typename Choice>
__global__ void scatter(
    const T* dy, const Choice* choice, T* dx, Shape x_shape, Shape y_shape, Windows windows, int count
) {
    for (int p = first_index(); p < count; p += thread_count()) {
        const Place at = place(p, x_shape);
        const int last_i = last_window(at.h, windows.stride_h, windows.top, y_shape.h);
        const int last_j = last_window(at.w, windows.stride_w, windows.left, y_shape.w);
        double sum = 0;
        for (int i = first_window(at.h, windows.height, windows.stride_h, windows.top); i <= last_i; ++i)
            for (int j = first_window(at.w, windows.width, windows.stride_w, windows.left); j <= last_j; ++j) {
                const int ki = at.h - (i * windows.stride_h - windows.top);
                const int kj = at.w - (j * windows.stride_w - windows.left);
                const int of_window = index_of({at.n, i, j, at.c}, y_shape);
                if (choice[of_window] == ki * windows.width + kj) sum += dy[of_window];
            }
        dx[p] = sum;
    }
}
