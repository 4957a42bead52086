// Statistics and the gradient's sums: a block for each 32 channels of each chunk of rows. The rest: a thread for each
// number. Relu costs no pass of its own, nor memory: what it let through is worked out again from x.
#include "cuda.cuh"
#include "column_sums.cuh"

template <typename T>
__global__ void sum_squares(const T* x, const double* mean, double* sums, int rows, int channels) {
    sum_columns<1>(rows, channels, sums, [=](int row, int c, double* own) {
        const double distance = x[row * channels + c] - mean[c];
        own[0] += distance * distance;
    });
}

template <typename T>
__global__ void normalise(
    const T* x, const T* mean, const T* factor, const T* shift, bool with_relu, T* y, int channels, int count
) {
    for (int i = first_index(); i < count; i += thread_count()) {
        const int c = i % channels;
        const T number = (x[i] - mean[c]) * factor[c] + shift[c];
        y[i] = with_relu ? relu(number) : number;
    }
}

// dy, or 0 where relu cut off; t = x - mean
template <typename T>
__device__ T through_relu(T dy, T t, T factor, T shift, bool with_relu) {
    return with_relu && !(t * factor + shift > 0) ? T(0) : dy;
}

// The sums of dz and of dz * t
template <typename T>
__global__ void sum_products(
    const T* x, const T* dy, const T* mean, const T* factor, const T* shift, bool with_relu,
    double* sums, int rows, int channels
) {
    sum_columns<2>(rows, channels, sums, [=](int row, int c, double* own) {
        const int i = row * channels + c;
        const T t = x[i] - mean[c];
        const T dz = through_relu(dy[i], t, factor[c], shift[c], with_relu);
        own[0] += dz;
        own[1] += (double)dz * t;
    });
}

template <typename T>
__global__ void input_gradient(
    const T* x, const T* dy, const T* mean, const T* factor, const T* shift, bool with_relu,
    const T* drift, const T* pull, T* dx, int channels, int count
) {
    for (int i = first_index(); i < count; i += thread_count()) {
        const int c = i % channels;
        const T t = x[i] - mean[c];
        const T dz = through_relu(dy[i], t, factor[c], shift[c], with_relu);
        dx[i] = factor[c] * dz - drift[c] - pull[c] * t;
    }
}
