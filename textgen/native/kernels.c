/* Single steps of recurrent models and of searches with few rows; see __init__.py.

   What is computed is what textgen.models and textgen.decoding compute, which have the equations.
   hatch_build.py compiles this once for each kind of processor. All matrices are row by row
   without gaps. Letters: B sources, K hypotheses of each, N = B K rows, S source positions,
   V vocabulary, H hidden units. */

#include "products.h"

#if TILES && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* Arguments are structures of fields of eight bytes each, which library.py packs in this order:
   ctypes takes a fifth of a microsecond for each argument that it converts itself. */

/* Rows [first; second] and what is done with their products. `addend` may be null; row r's part of
   it is row r, or row tokens[r] of `addends`. Of an LSTM `real` are its units, memory and
   new_memory its C, (N, H); else those are null. */
typedef struct {
    const layout *weights;
    const void *first, *second;
    int64_t width, more, type, count;
    const void *addend;
    const int64_t *tokens;
    int64_t addends, addend_type;
    void *out;
    int64_t out_type;
    const float *memory;
    float *new_memory;
    int64_t threads;
} step;

int32_t textgen_group(void) { return GROUP; }

/* Whether this processor has, and lets this process use, what the file was compiled for. */
int32_t textgen_supported(void) {
#if TILES
    unsigned a = 7, b, c = 0, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    const unsigned tiles = 1u << 22 | 1u << 24 | 1u << 25; /* AMX-BF16, AMX-TILE, AMX-INT8 */
    if ((d & tiles) != tiles) return 0;
#if defined(__linux__)
    if (syscall(SYS_arch_prctl, 0x1023, 18)) return 0; /* ARCH_REQ_XCOMP_PERM, tile data */
#else
    return 0;
#endif
#endif
#if PAIRS
    if (!__builtin_cpu_supports("avx512bf16")) return 0;
#endif
#if BYTES
    if (!__builtin_cpu_supports("avx512vnni")) return 0;
#endif
#if LANES == 16
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#elif LANES == 8
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 1;
#endif
}

/* ---- X W^T + b, and an LSTM's gates after it ---- */

INLINE int64_t addend_row(const step *job, int64_t row) {
    return job->tokens ? job->tokens[row] : row;
}

INLINE void finish_product(const layout *w, int64_t group, int64_t from, int64_t rows,
                           const float *sums, const step *job) {
    for (int64_t row = from; row < from + rows; row++, sums += GROUP)
        for (int v = 0; v < VECTORS; v++) {
            int64_t at = group * GROUP + v * LANES, left = w->real - at;
            if (left <= 0) break;
            vector values = load(sums + v * LANES);
            if (w->bias) values += load(w->bias + at);
            if (job->addend)
                values += take(job->addend, (int32_t)job->addend_type,
                               addend_row(job, row) * w->real + at, left);
            put(job->out, (int32_t)job->out_type, row * w->real + at, values, left);
        }
}

/* Input, forget and output gate and candidate of LANES units stand in the vectors of a group. */
INLINE void finish_lstm(const layout *w, int64_t group, int64_t from, int64_t rows,
                        const float *sums, const step *job) {
    const int64_t at = group * LANES, left = w->real - at;
    for (int64_t row = from; row < from + rows; row++, sums += GROUP) {
        vector gates[VECTORS];
        int64_t other = addend_row(job, row) * VECTORS * w->real + at;
        for (int v = 0; v < VECTORS; v++, other += w->real) {
            gates[v] = load(sums + v * LANES);
            if (w->bias) gates[v] += load(w->bias + group * GROUP + v * LANES);
            if (job->addend) gates[v] += take(job->addend, (int32_t)job->addend_type, other, left);
        }
        vector old = take(job->memory, FLOAT32, row * w->real + at, left);
        vector cell = logistic(gates[1]) * old + logistic(gates[0]) * hyperbolic(gates[3]);
        vector hidden = logistic(gates[2]) * hyperbolic(cell);
        put(job->new_memory, FLOAT32, row * w->real + at, cell, left);
        put(job->out, (int32_t)job->out_type, row * w->real + at, hidden, left);
    }
}

INLINE void finish(const layout *w, int64_t group, int64_t from, int64_t rows, const float *sums,
                   const step *job) {
    if (job->memory) finish_lstm(w, group, from, rows, sums, job);
    else finish_product(w, group, from, rows, sums, job);
}

static void by_vectors(const layout *w, int64_t group, const operand *x, int64_t count,
                       const step *job) {
    const int64_t most = w->type == INT8 ? BYTE_ROWS : ROWS;
    float sums[ROWS * GROUP];
    for (int64_t from = 0; from < count; from += most) {
        const int64_t rows = count - from < most ? count - from : most;
        if (rows == 1) multiply(1, w, group, x, from, sums);
        else if (rows == 2) multiply(2, w, group, x, from, sums);
#if ROWS > 2
        else if (rows == 3) multiply(3, w, group, x, from, sums);
        else if (rows == 4) multiply(4, w, group, x, from, sums);
        else if (rows == 5) multiply(5, w, group, x, from, sums);
        else multiply(6, w, group, x, from, sums);
#endif
        finish(w, group, from, rows, sums, job);
    }
}

#if TILES
static void by_tiles(const layout *w, int64_t first, int64_t last, const operand *x, int64_t count,
                     const step *job) {
    const int64_t most = w->type == INT8 ? TILES : 2 * TILES;
    float sums[2 * TILES * GROUP];
    int64_t begun = 0;
    for (int64_t group = first; group < last; group++)
        for (int64_t from = 0; from < count; from += most) {
            const int64_t rows = count - from < most ? count - from : most;
            if (rows != begun) begin_tiles(rows);
            begun = rows;
            multiply_tiles(rows, w, group, x, from, sums);
            finish(w, group, from, rows, sums, job);
        }
    _tile_release();
}
#endif

static void some_groups(const layout *w, int64_t first, int64_t last, const operand *x,
                        int64_t count, const step *job) {
#if TILES
    /* sums of 16-bit products have another order in tiles, so there are tiles for one row too */
    if (w->type == BFLOAT16 || (w->type == INT8 && count > 1)) {
        by_tiles(w, first, last, x, count, job);
        return;
    }
#endif
    for (int64_t group = first; group < last; group++) by_vectors(w, group, x, count, job);
}

/* X W^T + b + addend in `out` (N, O), or the next h (N, H) and the next memory. 1 if there is no
   memory left for the rows, 2 if a token is outside of [0, addends). */
int32_t textgen_step(const step *job) {
    const layout *w = job->weights;
    const rows_of rows = {job->first, job->second, job->width, job->more, (int32_t)job->type};
    for (int64_t r = 0; job->tokens && r < job->count; r++)
        if (job->tokens[r] < 0 || job->tokens[r] >= job->addends) return 2;
    char small[1 << 15], *scratch = small;
    size_t bytes = bytes_needed(w, job->count);
    if (bytes > sizeof small && !(scratch = malloc(bytes))) return 1;
    operand x = prepare(w, &rows, job->count, scratch);
    const int64_t groups = w->outputs / GROUP;
    const int team = threads_for(w->outputs * w->inputs, job->threads);
#pragma omp parallel for num_threads(team) schedule(static) if (team > 1)
    for (int part = 0; part < team; part++)
        some_groups(w, groups * part / team, groups * (part + 1) / team, &x, job->count, job);
    if (scratch != small) free(scratch);
    return 0;
}

/* ---- attention ---- */

INLINE float product_score(const float *query, const float *key, int64_t size) {
    vector sums[VECTORS];
    for (int v = 0; v < VECTORS; v++) sums[v] = spread(0);
    int64_t i = 0;
    for (; i + GROUP <= size; i += GROUP)
        for (int v = 0; v < VECTORS; v++)
            sums[v] += load(query + i + v * LANES) * load(key + i + v * LANES);
    for (; i < size; i += LANES)
        sums[0] += take(query, FLOAT32, i, size - i) * take(key, FLOAT32, i, size - i);
    return total((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

INLINE float additive_score(const float *query, const float *key, const float *weights,
                            int64_t size) {
    vector sum = spread(0);
    for (int64_t i = 0; i < size; i += LANES) {
        vector joined = take(query, FLOAT32, i, size - i) + take(key, FLOAT32, i, size - i);
        sum += take(weights, FLOAT32, i, size - i) * hyperbolic(joined);
    }
    return total(sum);
}

/* (S,) scores to their softmax, in place. */
INLINE void normalise(float *scores, int64_t size) {
    float best = -INFINITY, sum = 0;
    for (int64_t s = 0; s < size; s++) best = scores[s] <= best ? best : scores[s];
    for (int64_t s = 0; s < size; s += LANES) {
        vector part = take(scores, FLOAT32, s, size - s) - best;
        part = chosen((integers)(part != part), part, exponential(part));
        put(scores, FLOAT32, s, part, size - s); /* lanes past the end are not stored */
    }
    for (int64_t s = 0; s < size; s++) sum += scores[s];
    for (int64_t s = 0; s < size; s++) scores[s] /= sum;
}

/* Queries (N, D), keys (B, S, D), values (B, S, H), mask (B, S) of 0 and -inf, and the hidden
   states' shares (N, H) to attention vectors (N, H) and weights (N, S). Scores are products times
   `factor`, or additive where there is `additive` (D,). `width` is K. */
typedef struct {
    const void *queries;
    int64_t type;
    const float *given, *keys, *values, *mask, *additive;
    double factor;
    int64_t rows, width, positions, depth, hidden;
    float *weights;
    void *out;
    int64_t out_type, threads;
} attention;

INLINE void attend(const attention *a, int64_t row) {
    const int64_t first = row / a->width * a->positions, depth = a->depth, hidden = a->hidden;
    float query[depth], *scores = a->weights + row * a->positions;
    widen(a->queries, (int32_t)a->type, row * depth, depth, query);
    for (int64_t s = 0; s < a->positions; s++) {
        const float *key = a->keys + (first + s) * depth;
        scores[s] = a->mask[first + s];
        if (scores[s] == 0) /* padding may be anything */
            scores[s] = a->additive ? additive_score(query, key, a->additive, depth)
                                    : (float)a->factor * product_score(query, key, depth);
    }
    normalise(scores, a->positions);
    for (int64_t i = 0; i < hidden; i += LANES) {
        const int64_t left = hidden - i;
        vector sum = take(a->given, FLOAT32, row * hidden + i, left);
        for (int64_t s = 0; s < a->positions; s++)
            if (scores[s] != 0)
                sum += scores[s] * take(a->values, FLOAT32, (first + s) * hidden + i, left);
        put(a->out, (int32_t)a->out_type, row * hidden + i, hyperbolic(sum), left);
    }
}

int32_t textgen_attend(const attention *a) {
    const int64_t each = a->depth * (a->additive ? 8 : 1) + a->hidden;
    const int team = threads_for(a->rows * a->positions * each, a->threads);
#pragma omp parallel for num_threads(team) schedule(static) if (team > 1)
    for (int64_t row = 0; row < a->rows; row++) attend(a, row);
    return 0;
}

/* ---- search ---- */

/* Put a number among the best, of which there are `found`; the first of equal ones stays first.
   NaN counts as larger than all, so that it is seen. Gives how many there are then. */
INLINE int64_t insert(float value, int64_t at, int64_t count, int64_t found, float *best,
                      int64_t *places) {
    int64_t place = found < count ? found++ : count - 1;
    for (; place > 0 && !(value <= best[place - 1]) && best[place - 1] == best[place - 1]; place--) {
        best[place] = best[place - 1];
        places[place] = places[place - 1];
    }
    best[place] = value;
    places[place] = at;
    return found;
}

INLINE int beats(float value, float limit) { return !(value <= limit) && limit == limit; }

INLINE void best_of(const float *values, const float *scores, int64_t width, int64_t size,
                    int64_t count, float *best, int64_t *places) {
    int64_t found = 0;
    for (int64_t k = 0; k < width; k++) {
        const float *row = values + k * size, score = scores[k];
        int64_t i = 0;
        for (; i < size && found < count; i++)
            found = insert(row[i] + score, k * size + i, count, found, best, places);
        while (i < size) {
            const int64_t end = i + GROUP <= size ? i + GROUP : size;
            int64_t any = end - i < GROUP;
            if (!any) {
                integers over = {0};
                for (int v = 0; v < VECTORS; v++)
                    over |= ~(integers)(load(row + i + v * LANES) + score <= spread(best[count - 1]));
                for (int lane = 0; lane < LANES; lane++) any |= over[lane];
            }
            for (; any && i < end; i++)
                if (beats(row[i] + score, best[count - 1]))
                    insert(row[i] + score, k * size + i, count, found, best, places);
            i = end;
        }
    }
}

/* Moves that go on, by rank, then those that end; more than `on` that go on, ends that are not
   among the first `on`, and dead moves get the token bos. */
INLINE void set_apart(const float *best, int64_t *parents, int64_t *tokens, int64_t count,
                      int64_t on, int64_t eos, int64_t bos) {
    int64_t from[count], to[count], place = 0;
    for (int ends = 0; ends < 2; ends++)
        for (int64_t m = 0; m < count; m++) {
            if ((tokens[m] == eos) != ends) continue;
            const int usable = (ends ? m : place) < on && best[m] != -INFINITY;
            from[place] = parents[m];
            to[place++] = usable ? tokens[m] : bos;
        }
    memcpy(parents, from, sizeof from);
    memcpy(tokens, to, sizeof to);
}

/* Log-probabilities (B, K, V) and scores (B, K) to the best `count` <= K V sums of each source and
   their parents and tokens, all (B, count), best first; or set apart, where `on` is not 0. */
typedef struct {
    const float *values, *scores;
    int64_t sources, width, size, count;
    float *best;
    int64_t *parents, *tokens;
    int64_t on, eos, bos, threads;
} ranking;

/* Whether some of the moves end. */
int32_t textgen_best(const ranking *r) {
    const int64_t all = r->width * r->size, count = r->count;
    const int64_t most = r->sources < r->threads ? r->sources : r->threads;
    const int team = threads_for(r->sources * all, most);
    int some = 0;
#pragma omp parallel for num_threads(team) schedule(static) if (team > 1) reduction(| : some)
    for (int64_t b = 0; b < r->sources; b++) {
        int64_t *parents = r->parents + b * count, *tokens = r->tokens + b * count;
        best_of(r->values + b * all, r->scores + b * r->width, r->width, r->size, count,
                r->best + b * count, tokens);
        for (int64_t m = 0; m < count; m++) {
            parents[m] = tokens[m] / r->size;
            tokens[m] %= r->size;
            some |= tokens[m] == r->eos;
        }
        if (r->on)
            set_apart(r->best + b * count, parents, tokens, count, r->on, r->eos, r->bos);
    }
    return some;
}

/* Tokens (N,) of log-probabilities (N, V), normalised or not, by uniform numbers (N,): the first
   at which the cumulated probability exceeds the number; V where that is never. */
typedef struct {
    const float *values;
    const double *uniform;
    int64_t rows, size;
    int64_t *tokens;
} lottery;

int32_t textgen_draw(const lottery *l) {
    double *mass = malloc(sizeof(double) * (size_t)l->size);
    if (!mass) return 1;
    for (int64_t row = 0; row < l->rows; row++) {
        const float *values = l->values + row * l->size;
        float best = values[0];
        double sum = 0;
        for (int64_t i = 1; i < l->size; i++) best = values[i] > best ? values[i] : best;
        for (int64_t i = 0; i < l->size; i++) mass[i] = sum += exp((double)values[i] - best);
        const double aim = l->uniform[row] * sum;
        int64_t token = 0;
        while (token < l->size && !(mass[token] > aim)) token++;
        l->tokens[row] = token;
    }
    free(mass);
    return 0;
}

/* A step of a search in which no row (B, K) had finished: rows (B, K') continue their parents, or
   themselves where `parents` is null and K' = K, with a token each. What was said before stands in
   rows of C places, `of` rows for each source, of which the first `steps` places count. */
typedef struct {
    const float *values, *allowed; /* (B, K, V) log-probabilities; those that were offered */
    const int64_t *parents, *tokens;
    const float *scores;
    const int64_t *said;
    const float *paid;
    int64_t sources, width, size, next, of, capacity, steps, eos;
    float *new_scores;
    uint8_t *finished;
    int64_t *new_said; /* `said` itself where there are no parents; so too new_paid */
    float *new_paid;
} entry;

/* 1 if a parent or a token is none. */
int32_t textgen_record(const entry *e) {
    for (int64_t row = 0; row < e->sources * e->next; row++) {
        const int64_t source = row / e->next, token = e->tokens[row];
        const int64_t parent = e->parents ? e->parents[row] : row % e->next;
        if (parent < 0 || parent >= e->width || token < 0 || token >= e->size) return 1;
        const int64_t from = source * e->width + parent;
        int64_t *said = e->new_said + row * e->capacity;
        float *paid = e->new_paid + row * e->capacity;
        if (e->parents) {
            const int64_t before = (source * e->of + parent) * e->capacity;
            memcpy(said, e->said + before, sizeof(int64_t) * (size_t)e->steps);
            memcpy(paid, e->paid + before, sizeof(float) * (size_t)e->steps);
        }
        const float offered = e->allowed[from * e->size + token];
        const float price = offered > -INFINITY ? e->values[from * e->size + token] : offered;
        const float score = e->scores[from] + price;
        said[e->steps] = token;
        paid[e->steps] = price;
        e->new_scores[row] = score;
        e->finished[row] = token == e->eos || (e->parents && score == -INFINITY);
    }
    return 0;
}

/* Bytes of the structures that library.py packs, in its order: a file of another version has
   others, and is not used. */
int32_t textgen_size(int32_t which) {
    static const size_t sizes[] = {sizeof(layout),  sizeof(step),    sizeof(attention),
                                   sizeof(ranking), sizeof(lottery), sizeof(entry)};
    return which < 0 || which >= (int32_t)(sizeof sizes / sizeof *sizes) ? 0 : (int32_t)sizes[which];
}
