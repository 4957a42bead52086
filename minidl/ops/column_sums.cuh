// Sums over the rows of a matrix (rows, columns), in float64 and always in the same order.
//
// The rows are cut into chunks, one for each blockIdx.y. A block of 32 x 8 threads has 32 columns: thread (x, y) adds up
// rows y, y + 8, y + 16, ... of its chunk in column x, so that 32 neighbours read 32 neighbouring numbers; then the
// eight sums of a column are added. What is left is a short sum over chunks.

constexpr int COLUMNS = 32, SLICES = 8;

// sums (SUMS, chunks, columns); add(row, column, own) adds what a number contributes to the thread's own SUMS sums.
template <int SUMS, typename Add>
__device__ void sum_columns(int rows, int columns, double* sums, Add add) {
    __shared__ double of_slices[SUMS][SLICES][COLUMNS];
    const int column = blockIdx.x * COLUMNS + threadIdx.x;
    const int first = (long long)rows * blockIdx.y / gridDim.y, end = (long long)rows * (blockIdx.y + 1) / gridDim.y;

    double own[SUMS] = {};
    if (column < columns)
        for (int row = first + threadIdx.y; row < end; row += SLICES) add(row, column, own);
    for (int s = 0; s < SUMS; ++s) of_slices[s][threadIdx.y][threadIdx.x] = own[s];
    __syncthreads();

    if (threadIdx.y < SUMS && column < columns) {  // the first rows of threads take a sum each
        double total = 0;
        for (int slice = 0; slice < SLICES; ++slice) total += of_slices[threadIdx.y][slice][threadIdx.x];
        sums[(threadIdx.y * gridDim.y + blockIdx.y) * columns + column] = total;
    }
}
