// Products of matrices, for all that is one: dense layers and, looked at in the right way, convolution.
//
//     y[row][column] = sum over k of a(row, k) * b(k, column)
//
// A block of 256 threads computes a tile of 64 x 64 numbers. It walks along k in steps of 16: all threads together copy
// 64 x 16 numbers of a and 16 x 64 of b into shared memory, then each multiplies 4 numbers of a with 4 of b into its own
// 4 x 4 sums. So a number that was read from memory is used 64 times, and one from shared memory 4 times.
//
// a and b are views: they say where number (row, k) or (k, column) lies, or that it is 0. A row or column is called a
// line of the view here. Finding a place takes a few divisions, so a view does it in two parts: line(i) once for each
// thread, step(k) once for each step. NEIGHBOURS_ALONG_K says which numbers are neighbours in memory, because those are
// what neighbouring threads must read. Beyond the last line a tile repeats it: what comes out there is not used.

constexpr int SIDE = 64, DEPTH = 16, OWN = 4, TILE_THREADS = 256;
constexpr int WIDTH = SIDE + 4;  // of a tile's rows: threads that write a column of it meet in fewer banks

template <typename View>
struct TileReader {
    static constexpr int EACH = SIDE * DEPTH / TILE_THREADS;  // numbers for a thread to copy
    static constexpr int LINES = View::NEIGHBOURS_ALONG_K ? EACH : 1, STEPS = EACH / LINES;
    const View& view;
    typename View::Line lines[LINES];

    __device__ TileReader(const View& view, int first, int count) : view(view) {
        for (int l = 0; l < LINES; ++l) lines[l] = view.line(min(first + side(l), count - 1));
    }

    __device__ int side(int l) const {
        return View::NEIGHBOURS_ALONG_K ? threadIdx.x / DEPTH + l * (TILE_THREADS / DEPTH) : threadIdx.x % SIDE;
    }

    __device__ int depth(int s) const {
        return View::NEIGHBOURS_ALONG_K ? threadIdx.x % DEPTH : threadIdx.x / SIDE + s * (TILE_THREADS / SIDE);
    }

    template <typename T>
    __device__ void read(int k_first, int k_end, T (&tile)[DEPTH][WIDTH]) const {
#pragma unroll
        for (int s = 0; s < STEPS; ++s) {
            const int k = k_first + depth(s);
            const auto step = view.step(k);
#pragma unroll
            for (int l = 0; l < LINES; ++l) tile[depth(s)][side(l)] = k < k_end ? view.at(lines[l], step) : T(0);
        }
    }
};

// The tile at (blockIdx.x, blockIdx.y), from the terms k_first to k_end; write(row, column, sum) takes each result.
template <typename T, typename A, typename B, typename Write>
__device__ void multiply_tiles(const A& a, const B& b, int rows, int columns, int k_first, int k_end, Write write) {
    __shared__ T tile_a[DEPTH][WIDTH], tile_b[DEPTH][WIDTH];
    const int first_row = blockIdx.x * SIDE, first_column = blockIdx.y * SIDE;
    const TileReader<A> reader_a(a, first_row, rows);
    const TileReader<B> reader_b(b, first_column, columns);
    const int own_row = threadIdx.x / (SIDE / OWN) * OWN, own_column = threadIdx.x % (SIDE / OWN) * OWN;

    T sums[OWN][OWN] = {};
    for (int k = k_first; k < k_end; k += DEPTH) {
        reader_a.read(k, k_end, tile_a);
        reader_b.read(k, k_end, tile_b);
        __syncthreads();  // before the tiles are used, all threads have written them
#pragma unroll
        for (int depth = 0; depth < DEPTH; ++depth) {
            T of_a[OWN], of_b[OWN];
#pragma unroll
            for (int i = 0; i < OWN; ++i) {
                of_a[i] = tile_a[depth][own_row + i];
                of_b[i] = tile_b[depth][own_column + i];
            }
#pragma unroll
            for (int i = 0; i < OWN; ++i)
#pragma unroll
                for (int j = 0; j < OWN; ++j) sums[i][j] += of_a[i] * of_b[j];
        }
        __syncthreads();  // before they are written again, all have used them
    }

#pragma unroll
    for (int i = 0; i < OWN; ++i)
#pragma unroll
        for (int j = 0; j < OWN; ++j) {
            const int row = first_row + own_row + i, column = first_column + own_column + j;
            if (row < rows && column < columns) write(row, column, sums[i][j]);
        }
}

// A matrix in memory, `width` being the length of its rows there. ALONG_K: a line of the view is a row in memory.
template <typename T, bool ALONG_K>
struct Matrix {
    static constexpr bool NEIGHBOURS_ALONG_K = ALONG_K;
    using Line = int;
    using Step = int;
    const T* data;
    int width;

    __device__ Line line(int i) const { return ALONG_K ? i * width : i; }
    __device__ Step step(int k) const { return ALONG_K ? k : k * width; }
    __device__ T at(Line line, Step step) const { return data[line + step]; }
};

// A view whose lines are another one's steps.
template <typename View>
struct Transposed {
    static constexpr bool NEIGHBOURS_ALONG_K = !View::NEIGHBOURS_ALONG_K;
    using Line = typename View::Step;
    using Step = typename View::Line;
    View view;

    __device__ Line line(int i) const { return view.step(i); }
    __device__ Step step(int k) const { return view.line(k); }
    __device__ auto at(Line line, Step step) const { return view.at(step, line); }
};

// A long sum is cut into chunks of k, so that enough blocks run at once; the chunks' results are added up afterwards.
__device__ inline int chunk_start(int chunk, int chunks, int depth) { return (long long)depth * chunk / chunks; }
