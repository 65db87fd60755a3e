/* The chains of sweeps.py in C, for gcc -O3 -march=native -ffast-math: row by row, and with rows side by side, through buffers. */
#include <stddef.h>

enum { SIDE = 16 };

void scan_columns(long n, long m, const float *restrict a, float *restrict p) {
  for (long j = 0; j < m; j++) p[j] = a[j];
  for (long i = 1; i < n; i++)
    for (long j = 0; j < m; j++) p[i * m + j] = 0.9f * p[(i - 1) * m + j] + a[i * m + j];
}

void scan_rows(long n, long m, const float *restrict a, float *restrict p) {
  for (long i = 0; i < n; i++) {
    float last = p[i * m] = a[i * m];
    for (long j = 1; j < m; j++) p[i * m + j] = last = 0.9f * last + a[i * m + j];
  }
}

/* Tiles of 16 x 16: transposed, swept, and transposed back. */
void scan_rows_side_by_side(long n, long m, const float *restrict a, float *restrict p) {
  long i = 0;
  for (; i + SIDE <= n; i += SIDE) {
    float last[SIDE] = {0}, tile[SIDE][SIDE];
    long j = 0;
    for (; j + SIDE <= m; j += SIDE) {
      for (int r = 0; r < SIDE; r++)
        for (int c = 0; c < SIDE; c++) tile[c][r] = a[(i + r) * m + j + c];
      for (int c = 0; c < SIDE; c++)
        for (int r = 0; r < SIDE; r++) tile[c][r] = last[r] = 0.9f * last[r] + tile[c][r];
      for (int r = 0; r < SIDE; r++)
        for (int c = 0; c < SIDE; c++) p[(i + r) * m + j + c] = tile[c][r];
    }
    for (; j < m; j++)
      for (int r = 0; r < SIDE; r++) p[(i + r) * m + j] = last[r] = 0.9f * last[r] + a[(i + r) * m + j];
  }
  scan_rows(n - i, m, a + i * m, p + i * m);
}

static void filtered(long m, const double *restrict x, double *restrict y, double *restrict f) {
  f[0] = 0.5 * x[0];
  f[1] = 0.5 * x[1] + 0.3 * x[0] + 0.4 * f[0];
  for (long j = 2; j < m; j++) f[j] = 0.5 * x[j] + 0.3 * x[j - 1] + 0.4 * f[j - 1] - 0.2 * f[j - 2];
  double g1 = 0.3 * x[m - 1], g2 = 0;
  y[m - 1] = f[m - 1];
  y[m - 2] = f[m - 2] + g1;
  for (long j = m - 3; j >= 0; j--) {
    double g = 0.3 * x[j + 1] + 0.1 * x[j + 2] + 0.4 * g1 - 0.2 * g2;
    y[j] = f[j] + g;
    g2 = g1, g1 = g;
  }
}

void filter_rows(long n, long m, const double *restrict x, double *restrict y, double *restrict f) {
  for (long i = 0; i < n; i++) filtered(m, x + i * m, y + i * m, f);
}

/* Eight rows side by side in buffers: x and f have 8 m elements each. */
void filter_rows_side_by_side(long n, long m, const double *restrict a, double *restrict y, double *restrict buffer) {
  double(*x)[8] = (double(*)[8])buffer, (*f)[8] = x + m;
  long i = 0;
  for (; i + 8 <= n; i += 8) {
    for (long j = 0; j < m; j++)
      for (int r = 0; r < 8; r++) x[j][r] = a[(i + r) * m + j];
    for (int r = 0; r < 8; r++) f[0][r] = 0.5 * x[0][r];
    for (int r = 0; r < 8; r++) f[1][r] = 0.5 * x[1][r] + 0.3 * x[0][r] + 0.4 * f[0][r];
    for (long j = 2; j < m; j++)
      for (int r = 0; r < 8; r++) f[j][r] = 0.5 * x[j][r] + 0.3 * x[j - 1][r] + 0.4 * f[j - 1][r] - 0.2 * f[j - 2][r];
    double g1[8], g2[8];
    for (int r = 0; r < 8; r++) g1[r] = 0.3 * x[m - 1][r], g2[r] = 0, f[m - 2][r] += g1[r];
    for (long j = m - 3; j >= 0; j--)
      for (int r = 0; r < 8; r++) {
        double g = 0.3 * x[j + 1][r] + 0.1 * x[j + 2][r] + 0.4 * g1[r] - 0.2 * g2[r];
        f[j][r] += g;
        g2[r] = g1[r], g1[r] = g;
      }
    for (int r = 0; r < 8; r++)
      for (long j = 0; j < m; j++) y[(i + r) * m + j] = f[j][r];
  }
  filter_rows(n - i, m, a + i * m, y + i * m, buffer);
}

/* v is solved along rows of its transpose in each step, row by row: w is another plane. */
void implicit_rows(long n, long steps, double *restrict v, double *restrict w, double *restrict p, double *restrict q) {
  for (long t = 0; t < steps; t++) {
    for (long i = 0; i < n; i++) {
      p[0] = 0, q[0] = v[i];
      for (long j = 1; j < n; j++) {
        double d = 1 / (1.6 - 0.3 * p[j - 1]);
        p[j] = 0.3 * d, q[j] = (v[j * n + i] + 0.3 * q[j - 1]) * d;
      }
      w[i * n + n - 1] = 1;
      for (long j = n - 2; j >= 0; j--) w[i * n + j] = p[j + 1] * w[i * n + j + 1] + q[j + 1];
    }
    double *other = v;
    v = w, w = other;
  }
}

/* All rows side by side: each loop over i is along the rows of v, and what is solved is transposed afterwards. */
void implicit_side_by_side(long n, long steps, double *restrict v, double *restrict w, double *restrict p,
                           double *restrict q) {
  for (long t = 0; t < steps; t++) {
    for (long i = 0; i < n; i++) p[i] = 0, q[i] = v[i];
    for (long j = 1; j < n; j++)
      for (long i = 0; i < n; i++) {
        double d = 1 / (1.6 - 0.3 * p[(j - 1) * n + i]);
        p[j * n + i] = 0.3 * d;
        q[j * n + i] = (v[j * n + i] + 0.3 * q[(j - 1) * n + i]) * d;
      }
    for (long i = 0; i < n; i++) w[(n - 1) * n + i] = 1;
    for (long j = n - 2; j >= 0; j--)
      for (long i = 0; i < n; i++) w[j * n + i] = p[(j + 1) * n + i] * w[(j + 1) * n + i] + q[(j + 1) * n + i];
    for (long i = 0; i < n; i += 8)
      for (long j = 0; j < n; j += 8)
        for (long r = i; r < i + 8 && r < n; r++)
          for (long c = j; c < j + 8 && c < n; c++) v[r * n + c] = w[c * n + r];
  }
}

/* A triangular matrix and ones. */
void solve(long n, const double *restrict a, double *restrict x) {
  for (long i = 0; i < n; i++) {
    double sum = 0;
    for (long r = 0; r < i; r++) sum += a[i * n + r] * x[r];
    x[i] = (1 - sum) / a[i * n + i];
  }
}
