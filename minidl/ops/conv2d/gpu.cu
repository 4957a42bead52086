// Each pass of a convolution is a product of matrices, of which one or two are never written down: their numbers are
// looked up in the images when a tile of them is read ("implicit GEMM", Chetlur et al. 2014, cuDNN).
//
//     forward          y[pixel][filter]        = sum over taps    of patch[pixel][tap]  * weight[tap][filter]
//     input gradient   dx[pixel][channel]      = sum over reaches of spread[pixel][reach] * weight'[reach][channel]
//     weight gradient  dweight[tap][filter]    = sum over pixels  of patch'[tap][pixel] * dy[pixel][filter]
//
// A tap is (ki, kj, channel): where a filter looks from its place. A reach is (ki, kj, filter): which number of y a pixel
// of x had a part in, through which tap. Groups see channels and filters from a first one on.
#include "cuda.cuh"
#include "tiles.cuh"

// What the window at an output pixel sees: number (pixel of y, tap).
template <typename T>
struct Patches {
    static constexpr bool NEIGHBOURS_ALONG_K = true;
    const T* x;
    Shape x_shape, y_shape;
    Windows windows;
    int channels, first_channel;  // of the group

    struct Line { int n, top, left; };             // of the window
    struct Step { int row, column, channel; };     // of the tap in it

    __device__ Line line(int pixel) const {
        const int row = pixel / y_shape.w;
        return {row / y_shape.h, row % y_shape.h * windows.stride_h - windows.top,
                pixel % y_shape.w * windows.stride_w - windows.left};
    }

    __device__ Step step(int tap) const {
        const int place = tap / channels;
        return {place / windows.width * windows.dilation_h, place % windows.width * windows.dilation_w,
                first_channel + tap % channels};
    }

    __device__ T at(Line window, Step tap) const {
        const int row = window.top + tap.row, column = window.left + tap.column;
        const bool inside = row >= 0 && row < x_shape.h && column >= 0 && column < x_shape.w;
        return inside ? x[index_of({window.n, row, column, tap.channel}, x_shape)] : T(0);
    }
};

// What a pixel of x had a part in: number (pixel of x, reach). Output row i met it at tap ki when
// i * stride + ki * dilation - top is the pixel's row; in most cases no i does when the stride is not 1. When it is, as
// mostly, nothing has to be divided, which would take as long as the multiplications.
template <typename T, bool STRIDED>
struct Spread {
    static constexpr bool NEIGHBOURS_ALONG_K = true;
    const T* dy;
    Shape x_shape, y_shape;
    Windows windows;
    int filters, first_filter;  // of the group

    struct Line { int n, row, column; };           // of the pixel, counted from the padding's edge
    struct Step { int row, column, filter; };

    __device__ Line line(int pixel) const {
        const int row = pixel / x_shape.w;
        return {row / x_shape.h, row % x_shape.h + windows.top, pixel % x_shape.w + windows.left};
    }

    __device__ Step step(int reach) const {
        const int place = reach / filters;
        return {place / windows.width * windows.dilation_h, place % windows.width * windows.dilation_w,
                first_filter + reach % filters};
    }

    __device__ int index(Line pixel, Step reach) const {  // in dy; -1 where the pixel was not met
        const int row = pixel.row - reach.row, column = pixel.column - reach.column;
        const int i = STRIDED ? row / windows.stride_h : row, j = STRIDED ? column / windows.stride_w : column;
        const bool divides = !STRIDED || (row == i * windows.stride_h && column == j * windows.stride_w);
        const bool met = divides && row >= 0 && column >= 0 && i < y_shape.h && j < y_shape.w;
        return met ? index_of({pixel.n, i, j, reach.filter}, y_shape) : -1;
    }

    __device__ T at(Line pixel, Step reach) const {
        const int place = index(pixel, reach);
        return place < 0 ? T(0) : dy[place];
    }
};

// The weight (kh, kw, channels, all filters) as number (channel, reach).
template <typename T>
struct WeightByReach {
    static constexpr bool NEIGHBOURS_ALONG_K = true;
    const T* weight;
    int channels, filters, first_filter, all_filters;

    using Line = int;
    struct Step { int place, filter; };

    __device__ Line line(int channel) const { return channel; }
    __device__ Step step(int reach) const { return {reach / filters, first_filter + reach % filters}; }
    __device__ T at(Line channel, Step reach) const {
        return weight[(reach.place * channels + channel) * all_filters + reach.filter];
    }
};

// A sum of the input gradient without the zeros where the pixel was not met: 0 times a weight that is nan would be nan.
template <typename T, bool STRIDED>
__device__ T sum_where_met(
    const Spread<T, STRIDED>& spread, const WeightByReach<T>& weights, int pixel, int channel, int first_k, int end_k
) {
    const auto line = spread.line(pixel);
    T sum = 0;
    for (int k = first_k; k < end_k; ++k) {
        const int place = spread.index(line, spread.step(k));
        if (place >= 0) sum += spread.dy[place] * weights.at(weights.line(channel), weights.step(k));
    }
    return sum;
}

// The part of a product that a block has a share in: blockIdx.z counts chunks of each group.
struct Part { int group, chunk, first_k, end_k; };

__device__ inline Part part(int chunks, int depth) {
    const int group = blockIdx.z / chunks, chunk = blockIdx.z % chunks;
    return {group, chunk, chunk_start(chunk, chunks, depth), chunk_start(chunk + 1, chunks, depth)};
}

// y = sum * factor + shift, per filter, and its relu, as far as they are asked for.
template <typename T, bool NORMALISE, bool RELU>
__device__ T finished(T sum, T factor, T shift) {
    const T number = NORMALISE ? sum * factor + shift : sum + shift;
    return RELU ? relu(number) : number;
}

// With more than one chunk, y has room for the sums of each, and finish() follows.
template <typename T, bool NORMALISE, bool RELU>
__global__ void forward(
    const T* x, const T* weight, const T* factor, const T* shift, T* y,
    Shape x_shape, Shape y_shape, Windows windows, int groups, int chunks
) {
    const int channels = x_shape.c / groups, filters = y_shape.c / groups;
    const int pixels = y_shape.n * y_shape.h * y_shape.w, taps = windows.height * windows.width * channels;
    const Part own = part(chunks, taps);
    const int first_filter = own.group * filters;
    T* sums = y + own.chunk * pixels * y_shape.c;
    multiply_tiles<T>(
        Patches<T>{x, x_shape, y_shape, windows, channels, own.group * channels},
        Matrix<T, false>{weight + first_filter, y_shape.c}, pixels, filters, own.first_k, own.end_k,
        [=](int pixel, int column, T sum) {
            const int filter = first_filter + column;
            sums[pixel * y_shape.c + filter] =
                chunks == 1 ? finished<T, NORMALISE, RELU>(sum, factor[filter], shift[filter]) : sum;
        }
    );
}

template <typename T, bool NORMALISE, bool RELU>
__global__ void finish(T* y, const T* factor, const T* shift, int filters, int count) {
    for (int i = first_index(); i < count; i += thread_count())
        y[i] = finished<T, NORMALISE, RELU>(y[i], factor[i % filters], shift[i % filters]);
}

// sums (chunks, n, h, w, c)
template <typename T, bool STRIDED>
__global__ void input_gradient(
    const T* dy, const T* weight, T* sums, Shape x_shape, Shape y_shape, Windows windows, int groups, int chunks
) {
    const int channels = x_shape.c / groups, filters = y_shape.c / groups;
    const int pixels = x_shape.n * x_shape.h * x_shape.w, reaches = windows.height * windows.width * filters;
    const Part own = part(chunks, reaches);
    const int first_channel = own.group * channels, first_filter = own.group * filters;
    T* dx = sums + own.chunk * pixels * x_shape.c;
    const Spread<T, STRIDED> spread{dy, x_shape, y_shape, windows, filters, first_filter};
    const WeightByReach<T> weights{weight, channels, filters, first_filter, y_shape.c};
    multiply_tiles<T>(spread, weights, pixels, channels, own.first_k, own.end_k, [=](int pixel, int column, T sum) {
        const bool is_finite = sum - sum == 0;
        dx[pixel * x_shape.c + first_channel + column] =
            is_finite ? sum : sum_where_met(spread, weights, pixel, column, own.first_k, own.end_k);
    });
}

// sums (chunks, kh, kw, channels of a group, filters)
template <typename T>
__global__ void weight_gradient(
    const T* dy, const T* x, T* sums, Shape x_shape, Shape y_shape, Windows windows, int groups, int chunks
) {
    const int channels = x_shape.c / groups, filters = y_shape.c / groups;
    const int pixels = y_shape.n * y_shape.h * y_shape.w, taps = windows.height * windows.width * channels;
    const Part own = part(chunks, pixels);
    const int first_filter = own.group * filters;
    T* dweight = sums + own.chunk * taps * y_shape.c;
    const Patches<T> patches{x, x_shape, y_shape, windows, channels, own.group * channels};
    multiply_tiles<T>(
        Transposed<Patches<T>>{patches}, Matrix<T, false>{dy + first_filter, y_shape.c},
        taps, filters, own.first_k, own.end_k,
        [=](int tap, int column, T sum) { dweight[tap * y_shape.c + first_filter + column] = sum; }
    );
}
