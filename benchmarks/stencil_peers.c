/* Stencils over time, swept step by step: peers of benchmarks/stencils.py, for gcc -O3 -march=native -ffast-math. */
/* T steps between a and b, which begin alike; returns 1 where the result is in b. */
int jacobi_2d(long T, long n, double *a, double *b) {
    for (long t = 0; t < T; t++) {
        const double *restrict u = t % 2 ? b : a;
        double *restrict v = t % 2 ? a : b;
        for (long i = 1; i < n - 1; i++)
            for (long j = 1; j < n - 1; j++)
                v[i * n + j] = 0.2 * (u[i * n + j] + u[i * n + j - 1] + u[i * n + j + 1] + u[(i + 1) * n + j] + u[(i - 1) * n + j]);
    }
    return T % 2;
}

int heat_3d(long T, long n, double *a, double *b) {
    for (long t = 0; t < T; t++) {
        const double *restrict u = t % 2 ? b : a;
        double *restrict v = t % 2 ? a : b;
        for (long i = 1; i < n - 1; i++)
            for (long j = 1; j < n - 1; j++)
                for (long k = 1; k < n - 1; k++) {
                    long p = (i * n + j) * n + k;
                    v[p] = 0.25 * u[p] + 0.125 * (u[p + n * n] + u[p - n * n] + u[p + n] + u[p - n] + u[p + 1] + u[p - 1]);
                }
    }
    return T % 2;
}

/* What does not depend on the element to the left is added up first, so that the row is a chain of one multiplication
 * and one addition an element. */
void seidel_2d(long T, long n, double *u, double *row) {
    const double ninth = 1.0 / 9.0;
    for (long t = 0; t < T; t++)
        for (long i = 1; i < n - 1; i++) {
            const double *restrict up = u + (i - 1) * n, *restrict down = u + (i + 1) * n;
            double *restrict here = u + i * n;
            for (long j = 1; j < n - 1; j++)
                row[j] = ninth * (up[j - 1] + up[j] + up[j + 1] + here[j] + here[j + 1] + down[j - 1] + down[j] + down[j + 1]);
            double left = here[0];
            for (long j = 1; j < n - 1; j++) here[j] = left = row[j] + ninth * left;
        }
}

/* A row of hz follows as soon as the rows that it reads are there. */
void fdtd_2d(long T, long n, long m, double *restrict ex, double *restrict ey, double *restrict hz, const double *f) {
    for (long t = 0; t < T; t++)
        for (long i = 0; i < n; i++) {
            if (i == 0)
                for (long j = 0; j < m; j++) ey[j] = f[t];
            else
                for (long j = 0; j < m; j++) ey[i * m + j] -= 0.5 * (hz[i * m + j] - hz[(i - 1) * m + j]);
            for (long j = 1; j < m; j++) ex[i * m + j] -= 0.5 * (hz[i * m + j] - hz[i * m + j - 1]);
            if (i > 0)
                for (long j = 0, p = (i - 1) * m; j < m - 1; j++, p++)
                    hz[p] -= 0.7 * (ex[p + 1] - ex[p] + ey[p + m] - ey[p]);
        }
}
