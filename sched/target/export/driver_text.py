"""The text of the C driver, with places for what differs from kernel to kernel."""

from __future__ import annotations

from string import Template

TEMPLATE = Template(r"""/* Checks ${name} and times it.
 *
 *     cc -O2 -o ${name}_bench ${name}_bench.c ${name}.o -lm -lpthread        (with -fopenmp: OpenMP's threads)
 *     ./${name}_bench [SIZE=VALUE ...] [--threads=N] [--benchmark_min_time=SECONDS] [--benchmark_format=console|json]
 *
 * It is checked at small sizes: outputs against those of the kernel when it was exported, bit for bit, on one thread
 * and on several, bytes beside the arrays that must not change, and arguments that must be refused. The status is 0
 * if all that holds, 1 if not, 2 for options that mean nothing. It is timed at the sizes that are given; others are
 * 512, or less where a call takes long.
 */
#define _POSIX_C_SOURCE 200809L

#include "${name}.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIZES ${count}
#define ARRAYS ${array_count}
#define ROWS ${rows}
#define GUARD 64 /* bytes beside an array, and its alignment */
#define GUARD_BYTE 0xA5

static const char *const size_names[] = {${size_names}};
static const int64_t check_sizes[] = {${check_sizes}};
static const int64_t timed_sizes[ROWS][SIZES + 1] = {${timed_sizes}};

typedef enum { NOTHING, HALF, FLOAT, DOUBLE, BOOL, INT8, INT16, INT32, INT64 } kind;

typedef struct {
    unsigned char *block, *data;
    size_t bytes;
    int output;
} buffer;

typedef struct {
    int64_t sizes[SIZES + 1];
    buffer arrays[ARRAYS + 1];
} problem;

static inline int64_t floordiv(int64_t a, int64_t b) {
    return b == 0 ? -1 : a / b - (a % b != 0 && (a < 0) != (b < 0));
}
static inline int64_t floormod(int64_t a, int64_t b) { return b == 0 ? -1 : a - b * floordiv(a, b); }
static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t greatest(int64_t a, int64_t b) { return a > b ? a : b; }

/* *count *= extent, if that is no less than 0 and not too large. */
static inline int grow(int64_t *count, int64_t extent) {
    if (extent < 0 || (extent > 0 && *count > (INT64_C(1) << 46) / extent)) return 0;
    *count *= extent;
    return 1;
}

/* The bits of v / 64 as a binary16, for v from -128 to 127. */
static uint16_t half_bits(int v) {
    unsigned magnitude = (unsigned)(v < 0 ? -v : v), exponent = 0;
    if (magnitude == 0) return 0;
    while (magnitude >> (exponent + 1)) exponent++;
    return (uint16_t)((v < 0 ? 0x8000u : 0u) | (exponent + 9) << 10 | (magnitude << (10 - exponent) & 0x3FFu));
}

static void fill(unsigned char *data, size_t bytes, kind what, uint32_t seed) {
    static const size_t widths[] = {1, 2, 4, 8, 1, 1, 2, 4, 8};
    size_t width = widths[what], count = bytes / width;
    for (size_t i = 0; i < count; i++) {
        uint32_t x = (uint32_t)i * UINT32_C(2654435761) + seed;
        int m = (int)((x ^ x >> 15) >> 8 & 255u), whole = 1 + (m & 3);
        void *at = data + i * width;
        switch (what) {
        case NOTHING: *(unsigned char *)at = 0xCD; break;
        case HALF: *(uint16_t *)at = half_bits(m - 128); break;
        case FLOAT: *(float *)at = (float)(m - 128) / 64; break;
        case DOUBLE: *(double *)at = (double)(m - 128) / 64; break;
        case BOOL: *(uint8_t *)at = (uint8_t)(m & 1); break;
        case INT8: *(uint8_t *)at = (uint8_t)whole; break;
        case INT16: *(uint16_t *)at = (uint16_t)whole; break;
        case INT32: *(uint32_t *)at = (uint32_t)whole; break;
        case INT64: *(uint64_t *)at = (uint64_t)whole; break;
        }
    }
}

static int new_buffer(buffer *b, size_t bytes, kind what, uint32_t seed, int output) {
    b->block = malloc(bytes + 3 * GUARD);
    if (b->block == NULL) return 0;
    memset(b->block, GUARD_BYTE, bytes + 3 * GUARD);
    b->data = b->block + GUARD + (GUARD - (uintptr_t)b->block % GUARD) % GUARD;
    b->bytes = bytes;
    b->output = output;
    fill(b->data, bytes, what, seed);
    return 1;
}

static int guards_hold(const buffer *b) {
    for (size_t i = 1; i <= GUARD; i++)
        if (b->data[-(ptrdiff_t)i] != GUARD_BYTE || b->data[b->bytes + i - 1] != GUARD_BYTE) return 0;
    return 1;
}

static void free_problem(problem *p) {
    for (int k = 0; k < ARRAYS; k++) free(p->arrays[k].block);
    memset(p, 0, sizeof *p);
}

/* The arrays for these sizes; 0 if there are none, or no memory. */
static int new_problem(problem *p, const int64_t *sizes) {
    int64_t count, extent;
    memset(p, 0, sizeof *p);
    memcpy(p->sizes, sizes, SIZES * sizeof *sizes);
    (void)extent;
${arrays}
    return 1;
}

static int32_t run(const problem *p, ${name}_context *context) {
    (void)p;
    return ${name}(
        ${arguments});
}

static int32_t run_without_arrays(const problem *p, ${name}_context *context) {
    (void)p;
    return ${name}(
        ${null_arguments});
}

static uint64_t digest(const problem *p) {
    uint64_t sum = ${fnv_start};
    for (int k = 0; k < ARRAYS; k++)
        for (size_t i = 0; p->arrays[k].output && i < p->arrays[k].bytes; i++)
            sum = (sum ^ p->arrays[k].data[i]) * ${fnv_prime};
    return sum;
}

static int failed(const char *what, int32_t code) {
    fprintf(stderr, "${name}: FAILED: %s (%" PRId32 ": %s)\n", what, code, ${name}_message(code));
    return 1;
}

/* Whether something is wrong. */
static int check(int threads) {
    problem p;
    uint64_t first = 0;
    if (!new_problem(&p, check_sizes)) {
        fprintf(stderr, "${name}: no memory for the check\n");
        free_problem(&p);
        return 1;
    }
    ${name}_context context = ${macro}_CONTEXT;
    for (int turn = 0; turn < 3; turn++) {
        for (int k = 0; k < ARRAYS; k++)
            if (p.arrays[k].output) fill(p.arrays[k].data, p.arrays[k].bytes, NOTHING, 0);
        context.threads = turn < 2 ? 1 : threads;
        int32_t code = run(&p, turn == 0 ? NULL : &context);
        if (code == ${macro}_CHECK_FAILED && !${known}) break; /* the check's indices are not meant for this kernel */
        if (code != ${macro}_OK) return failed("a call with good arguments", code);
        for (int k = 0; k < ARRAYS; k++)
            if (!guards_hold(&p.arrays[k])) return failed("it wrote beside an array", code);
        if (turn == 0) first = digest(&p);
        if (digest(&p) != first) return failed("another call gave other bits", code);
    }
    if (${known} && first != ${expected}) return failed("the outputs have other bits than when it was exported", 0);
    int32_t code = run_without_arrays(&p, &context);
    if (code < ${macro}_BAD_ARGUMENT) return failed("arrays that are NULL were not refused", code);
    for (int k = 0; k < SIZES; k++) {
        p.sizes[k] = -1;
        code = run(&p, &context);
        if (code < ${macro}_BAD_ARGUMENT) return failed("a size of -1 was not refused", code);
        p.sizes[k] = check_sizes[k];
    }
    free_problem(&p);
    fprintf(stderr, "${name}: checked%s\n", ${known} ? ", the same bits as when it was exported" : "");
    return 0;
}

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void report(const char *label, double real, double cpu, int64_t iterations, int threads, int json) {
    if (!json) {
        const char *line = "---------------------------------------------------------------------------";
        printf("%s\n%-40s %12s %12s %10s\n%s\n", line, "Benchmark", "Time", "CPU", "Iterations", line);
        printf("%-40s %9.0f ns %9.0f ns %10" PRId64 "\n", label, real, cpu, iterations);
        return;
    }
    char date[64] = "";
    time_t now = time(NULL);
    struct tm broken;
    if (gmtime_r(&now, &broken) != NULL) strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S+00:00", &broken);
    printf("{\n  \"context\": {\n    \"date\": \"%s\",\n", date);
${context}
    printf("    \"executable\": \"${name}_bench\"\n  },\n  \"benchmarks\": [\n    {\n");
    printf("      \"name\": \"%s\",\n      \"run_name\": \"%s\",\n      \"run_type\": \"iteration\",\n", label, label);
    printf("      \"repetitions\": 1,\n      \"repetition_index\": 0,\n      \"threads\": %d,\n", threads);
    printf("      \"iterations\": %" PRId64 ",\n      \"real_time\": %.17g,\n", iterations, real);
    printf("      \"cpu_time\": %.17g,\n      \"time_unit\": \"ns\"\n    }\n  ]\n}\n", cpu);
}

static int measure(const int64_t *sizes, int threads, double min_time, int json) {
    problem p;
    char label[256] = "${name}";
    if (!new_problem(&p, sizes)) {
        fprintf(stderr, "${name}: there are no arrays of these sizes, or no memory for them\n");
        free_problem(&p);
        return 2;
    }
    ${name}_context context = ${macro}_CONTEXT;
    context.threads = threads;
    int32_t code = run(&p, &context);
    if (code != ${macro}_OK) {
        fprintf(stderr, "${name}: %s\n", ${name}_message(code));
        free_problem(&p);
        return code == ${macro}_CHECK_FAILED ? 1 : 2;
    }
    double real = 0, cpu = 0;
    int64_t iterations = 1;
    for (;;) {
        double begin = seconds(CLOCK_MONOTONIC), begin_cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (int64_t i = 0; i < iterations; i++) code |= run(&p, &context);
        real = seconds(CLOCK_MONOTONIC) - begin;
        cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - begin_cpu;
        if (real >= min_time || iterations > INT64_C(1) << 40) break;
        double more = real > 0 ? 1.4 * min_time / real : 10;
        iterations = (int64_t)((double)iterations * (more < 2 ? 2 : more > 10 ? 10 : more));
    }
    for (int k = 0; k < SIZES; k++) {
        size_t used = strlen(label);
        snprintf(label + used, sizeof label - used, "/%s:%" PRId64, size_names[k], sizes[k]);
    }
    report(label, 1e9 * real / (double)iterations, 1e9 * cpu / (double)iterations, iterations, threads, json);
    free_problem(&p);
    ${name}_release();
    return code == ${macro}_OK ? 0 : 1;
}

/* The sizes that were not given: the largest of the table that no call takes long at. */
static void choose(int64_t *sizes, const int *given, int threads) {
    ${name}_context context = ${macro}_CONTEXT;
    context.threads = threads;
    for (int row = 0; row < ROWS; row++) {
        problem p;
        for (int k = 0; k < SIZES; k++)
            if (!given[k]) sizes[k] = timed_sizes[row][k];
        if (row + 1 == ROWS) return;
        double begin = seconds(CLOCK_MONOTONIC);
        int bad = !new_problem(&p, sizes) || run(&p, &context) != ${macro}_OK;
        free_problem(&p);
        if (bad || seconds(CLOCK_MONOTONIC) - begin > 0.05) return;
    }
}

/* The number after `prefix`, if the option begins with it. */
static int option(const char *given, const char *prefix, double *value) {
    char *end;
    size_t length = strlen(prefix);
    if (strncmp(given, prefix, length) != 0) return 0;
    *value = strtod(given + length, &end);
    if (end == given + length || (*end != '\0' && strcmp(end, "s") != 0) || !(*value >= 0 && *value < 9e15)) {
        fprintf(stderr, "${name}_bench: %s is no number\n", given);
        exit(2);
    }
    return 1;
}

int main(int argc, char **argv) {
    int64_t sizes[SIZES + 1];
    int given[SIZES + 1] = {0};
    double threads = 1, min_time = 0.5, value;
    int json = 0;
    memset(sizes, 0, sizeof sizes);
    for (int k = 1; k < argc; k++) {
        int known = option(argv[k], "--threads=", &threads) || option(argv[k], "--benchmark_min_time=", &min_time);
        if (strcmp(argv[k], "--benchmark_format=json") == 0) known = json = 1;
        if (strcmp(argv[k], "--benchmark_format=console") == 0) known = 1;
        for (int s = 0; s < SIZES && !known; s++) {
            char prefix[80];
            snprintf(prefix, sizeof prefix, "%s=", size_names[s]);
            known = option(argv[k], prefix, &value);
            if (known) given[s] = 1, sizes[s] = (int64_t)value;
        }
        if (!known) {
            fprintf(stderr, "${name}_bench: %s means nothing here\n", argv[k]);
            return 2;
        }
    }
    if (!(threads >= 1 && threads <= 4096)) threads = 1;
    int wrong = check(threads > 1 ? (int)threads : 2);
    if (wrong) return wrong;
    choose(sizes, given, (int)threads);
    return measure(sizes, (int)threads, min_time, json);
}
""")
