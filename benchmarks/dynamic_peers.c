/* The recurrences of dynamic.py in C, for gcc -O3 -march=native -ffast-math. */
#include <math.h>
#include <stdint.h>
#include <string.h>

static inline int max(int a, int b) { return a > b ? a : b; }

/* Row by row: what does not need the left neighbour first, in vectors; then along the row. row has m + 1 elements. */
int score_rows(long n, long m, const int *restrict a, const int *restrict b, int *restrict row, int *restrict t) {
  int best = 0;
  memset(row, 0, (m + 1) * sizeof(int));
  for (long i = 0; i < n; i++) {
    for (long j = 0; j < m; j++) t[j] = max(max(row[j] + (a[i] == b[j] ? 3 : -3), 0), row[j + 1] - 2);
    int left = 0;
    for (long j = 0; j < m; j++) {
      left = max(t[j], left - 2);
      row[j + 1] = left;
      best = max(best, left);
    }
  }
  return best;
}

/* Along diagonals, skewed by hand: h[d % 3][i] is cell (i, d - i), and r is b backwards. */
int score_diagonals(long n, long m, const int *restrict a, const int *restrict r, int *restrict h) {
  int best = 0;
  long width = n + 1;
  memset(h, 0, 3 * width * sizeof(int));
  for (long d = 2; d <= n + m; d++) {
    int *restrict now = h + d % 3 * width;
    const int *one = h + (d - 1) % 3 * width, *two = h + (d - 2) % 3 * width;
    long low = d - m > 1 ? d - m : 1, high = d - 1 < n ? d - 1 : n;
    now[0] = 0;
    if (d <= n) now[d] = 0;
    for (long i = low; i <= high; i++) {
      int match = a[i - 1] == r[m - d + i] ? 3 : -3;
      int cell = max(max(two[i - 1] + match, 0), max(one[i - 1], one[i]) - 2);
      now[i] = cell;
      best = max(best, cell);
    }
  }
  return best;
}

void matrix_rows(long n, long m, const int *restrict a, const int *restrict b, int *restrict h, int *restrict t) {
  memset(h, 0, (m + 1) * sizeof(int));
  for (long i = 0; i < n; i++) {
    const int *restrict up = h + i * (m + 1);
    int *restrict row = h + (i + 1) * (m + 1);
    for (long j = 0; j < m; j++) t[j] = max(max(up[j] + (a[i] == b[j] ? 3 : -3), 0), up[j + 1] - 2);
    int left = row[0] = 0;
    for (long j = 0; j < m; j++) row[j + 1] = left = max(t[j], left - 2);
  }
}

enum { DIAGONALS = 64 };

/* Along diagonals, skewed by hand: 64 of them in a buffer, behind the two before; from there along the rows. */
void matrix_diagonals(long n, long m, const int *restrict a, const int *restrict r, int *restrict h, int *restrict t) {
  long width = (n + 16) / 16 * 16;
  for (long first = 0; first <= n + m; first += DIAGONALS) {
    long end = first + DIAGONALS < n + m + 1 ? first + DIAGONALS : n + m + 1;
    for (long d = first; d < end; d++) {
      int *restrict now = t + (d - first + 2) * width;
      const int *one = now - width, *two = now - 2 * width;
      long low = d - m > 1 ? d - m : 1, high = d - 1 < n ? d - 1 : n;
      if (d <= m) now[0] = 0;
      if (d <= n) now[d] = 0;
      for (long i = low; i <= high; i++) {
        int match = a[i - 1] == r[m - d + i] ? 3 : -3;
        now[i] = max(max(two[i - 1] + match, 0), max(one[i - 1], one[i]) - 2);
      }
    }
    for (long i = first > m ? first - m : 0; i <= n && i < end; i++) {
      long low = first > i ? first : i, high = end < i + m + 1 ? end : i + m + 1;
      int *restrict row = h + i * m;
      for (long d = low; d < high; d++) row[d] = t[(d - first + 2) * width + i];
    }
    memcpy(t, t + DIAGONALS * width, 2 * width * sizeof(int));
  }
}

/* For each i from the end, k upwards: all j at once. */
void nussinov(long n, const int *restrict s, int *restrict b) {
  memset(b, 0, n * n * sizeof(int));
  for (long i = n - 1; i >= 0; i--) {
    int *row = b + i * n;
    const int *below = row + n;
    for (long j = i + 2; j < n; j++) row[j] = below[j - 1] + (s[i] + s[j] == 3);
    for (long k = i; k < n - 1; k++) {
      int left = row[k];
      const int *restrict other = b + (k + 1) * n;
      for (long j = k + 1; j < n; j++) row[j] = max(row[j], left + other[j]);
    }
  }
}

enum { BASES = 32 };

static inline void join(long many, int left, const int *restrict other, int *restrict row) {
  for (long j = 0; j < many; j++) row[j] = max(row[j], left + other[j]);
}

enum { ROWS = 4 };

/* Columns from c on of rows i to i + ROWS, a whole block of them in registers: what is summed from k to end. */
static inline void between_whole(long n, long i, long c, long k, long end, int *restrict b) {
  int rows[ROWS][BASES];
  for (int r = 0; r < ROWS; r++) memcpy(rows[r], b + (i + r) * n + c, sizeof rows[r]);
  for (; k < end; k++)
    for (int r = 0; r < ROWS; r++) join(BASES, b[(i + r) * n + k], b + (k + 1) * n + c, rows[r]);
  for (int r = 0; r < ROWS; r++) memcpy(b + (i + r) * n + c, rows[r], sizeof rows[r]);
}

static inline void between(long n, long i, long c, long many, long k, long end, int *restrict b) {
  for (; k < end; k++) join(many, b[i * n + k], b + (k + 1) * n + c, b + i * n + c);
}

/* In blocks, the last rows first: of the sums for a block, what is of blocks between; then row by row what is of the
   block's own rows, and at last, along the row, what is of its columns. */
void nussinov_blocks(long n, const int *restrict s, int *restrict b) {
  memset(b, 0, n * n * sizeof(int));
  for (long p = (n - 1) / BASES * BASES; p >= 0; p -= BASES) {
    long q = p + BASES < n ? p + BASES : n;
    for (long c = p; c < n; c += BASES) {
      long d = c + BASES < n ? c + BASES : n;
      for (long i = p; c > p && i < q; i += ROWS)
        if (d - c == BASES && i + ROWS <= q)
          between_whole(n, i, c, q, c, b);
        else
          for (long r = i; r < q && r < i + ROWS; r++) between(n, r, c, d - c, q, c, b);
      for (long i = q - 1; i >= p; i--) {
        int *row = b + i * n;
        const int *below = row + n;
        for (long j = c > i + 2 ? c : i + 2; j < d; j++) row[j] = max(row[j], below[j - 1] + (s[i] + s[j] == 3));
        if (c > p) between(n, i, c, d - c, i, q, b);
        for (long k = c > p ? c : i; k < d - 1; k++) join(d - k - 1, row[k], b + (k + 1) * n + k + 1, row + k + 1);
      }
    }
  }
}

void floyd_warshall(long n, float *restrict d) {
  for (long k = 0; k < n; k++)
    for (long i = 0; i < n; i++) {
      float via = d[i * n + k];
      for (long j = 0; j < n; j++) {
        float other = via + d[k * n + j];
        d[i * n + j] = other < d[i * n + j] ? other : d[i * n + j];
      }
    }
}

enum { BLOCK = 32 };

/* Blocks of columns: a panel, the rows of U beside it, and four updates in each pass over the rest. */
void lu(long n, double *restrict a) {
  for (long p = 0; p < n; p += BLOCK) {
    long q = p + BLOCK < n ? p + BLOCK : n;
    for (long k = p; k < q; k++)
      for (long i = k + 1; i < n; i++) {
        double f = a[i * n + k] /= a[k * n + k];
        for (long j = k + 1; j < q; j++) a[i * n + j] -= f * a[k * n + j];
      }
    for (long k = p; k < q; k++)
      for (long i = k + 1; i < q; i++) {
        double f = a[i * n + k];
        for (long j = q; j < n; j++) a[i * n + j] -= f * a[k * n + j];
      }
    for (long i = q; i < n; i++) {
      double *restrict row = a + i * n;
      long k = p;
      for (; k + 4 <= q; k += 4) {
        double f = row[k], g = row[k + 1], h = row[k + 2], l = row[k + 3];
        const double *restrict u = a + k * n;
        for (long j = q; j < n; j++) row[j] -= f * u[j] + g * u[n + j] + h * u[2 * n + j] + l * u[3 * n + j];
      }
      for (; k < q; k++)
        for (long j = q; j < n; j++) row[j] -= row[k] * a[k * n + j];
    }
  }
}

void cholesky(long n, double *restrict a) {
  for (long j = 0; j < n; j++)
    for (long i = j; i < n; i++) {
      double sum = a[i * n + j];
      for (long k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
    }
}

/* Blocks of rows of L: the rows of X beside it, and four updates in each pass over the rest. */
void triangular(long n, long m, const double *restrict l, double *restrict x) {
  for (long p = 0; p < n; p += BLOCK) {
    long q = p + BLOCK < n ? p + BLOCK : n;
    for (long i = p; i < q; i++) {
      for (long r = p; r < i; r++)
        for (long j = 0; j < m; j++) x[i * m + j] -= l[i * n + r] * x[r * m + j];
      double scale = 1 / l[i * n + i];
      for (long j = 0; j < m; j++) x[i * m + j] *= scale;
    }
    for (long i = q; i < n; i++) {
      double *restrict row = x + i * m;
      long r = p;
      for (; r + 4 <= q; r += 4) {
        double f = l[i * n + r], g = l[i * n + r + 1], h = l[i * n + r + 2], e = l[i * n + r + 3];
        const double *restrict u = x + r * m;
        for (long j = 0; j < m; j++) row[j] -= f * u[j] + g * u[m + j] + h * u[2 * m + j] + e * u[3 * m + j];
      }
      for (; r < q; r++)
        for (long j = 0; j < m; j++) row[j] -= l[i * n + r] * x[r * m + j];
    }
  }
}
