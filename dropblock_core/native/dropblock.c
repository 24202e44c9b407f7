/* SPDX-License-Identifier: Apache-2.0 */
/* Lines 5 to 8 of Algorithm 1 on a CPU: the seeds of stream.py, grown and counted as bits, and one multiply.
 *
 * The mask is one bit a unit, 1 = dropped, in the order of memory: bit i belongs to element i. So growing a block is
 * `bits |= bits << distance` over flat words, applying the mask goes through memory once, and only the strides know
 * whether channels come first or last.
 *
 * Nothing of Python or of a framework is in here. Threads come from the caller, as a `parallel_for`; NULL has one, and
 * who has none of his own takes `dropblock_parallel_for`.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

/* The machine picks the clone when the library is loaded. Wider vectors than AVX2's gained nothing here. With PLAIN
 * there is what every machine has, and nothing else. */
#if defined(__x86_64__) && !defined(PLAIN)
#include <immintrin.h>
#define BY_HAND 1 /* what is written for AVX2, where compilers do not find its instructions */
#define AVX2 __attribute__((target("avx2,f16c")))
#define HAS_AVX2 (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c"))
#else
#define BY_HAND 0
#endif
#if BY_HAND && defined(__gnu_linux__) && __GNUC__ >= 12 && !defined(__clang__)
#define CLONES __attribute__((target_clones("default", "arch=x86-64-v3")))
#else
#define CLONES
#endif

/* ---- threads ---- */

typedef void task_t(int64_t begin, int64_t end, void *context);
typedef int32_t parallel_for_t(int64_t begin, int64_t end, int64_t grain, task_t *task, void *context);

static void run(parallel_for_t *parallel_for, int64_t tasks, task_t *task, void *context) {
    if (!parallel_for || tasks < 2 || parallel_for(0, tasks, 1, task, context)) task(0, tasks, context);
}

/* Threads that live as long as their work: none waits between calls, and a process may fork. Whoever starts late, since
 * its CPU has something else to do, finds nothing left, and nobody waits for it; so the last one frees the work. */
enum { SHARES = 8 }; /* shares of the work that a thread takes, if all are equally fast */
static int32_t threads = 1;

typedef struct {
    int64_t next, end, share, left;
    task_t *task;
    void *context;
    int32_t holders;
    pthread_mutex_t lock;
    pthread_cond_t done;
} work_t;

static void take_shares(work_t *w) {
    for (int64_t first; (first = __atomic_fetch_add(&w->next, w->share, __ATOMIC_RELAXED)) < w->end;) {
        const int64_t last = first + w->share < w->end ? first + w->share : w->end;
        w->task(first, last, w->context);
        if (__atomic_sub_fetch(&w->left, last - first, __ATOMIC_ACQ_REL)) continue;
        pthread_mutex_lock(&w->lock);
        pthread_cond_signal(&w->done);
        pthread_mutex_unlock(&w->lock);
    }
}

static void let_go(work_t *w) {
    if (__atomic_sub_fetch(&w->holders, 1, __ATOMIC_ACQ_REL)) return;
    pthread_mutex_destroy(&w->lock), pthread_cond_destroy(&w->done);
    free(w);
}

static void *help(void *work) {
    take_shares(work);
    let_go(work);
    return NULL;
}

API int32_t dropblock_parallel_for(int64_t begin, int64_t end, int64_t grain, task_t *task, void *context) {
    const int64_t share = (end - begin) / (SHARES * threads);
    const int64_t most = (end - begin) / 4; /* to start a thread takes as long as some tasks */
    pthread_attr_t detached;
    work_t *w = most < 2 || threads < 2 ? NULL : malloc(sizeof *w);
    if (!w) return 1; /* who asked has one thread */
    *w = (work_t){begin, end, share > grain ? share : grain, end - begin, task, context, 1,
                  PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER};
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (int32_t i = 1; i < threads && i < most; i++) {
        pthread_t id;
        __atomic_add_fetch(&w->holders, 1, __ATOMIC_RELAXED);
        if (pthread_create(&id, &detached, help, w)) let_go(w);
    }
    pthread_attr_destroy(&detached);
    take_shares(w);
    pthread_mutex_lock(&w->lock);
    while (__atomic_load_n(&w->left, __ATOMIC_ACQUIRE)) pthread_cond_wait(&w->done, &w->lock);
    pthread_mutex_unlock(&w->lock);
    let_go(w);
    return 0;
}

/* How many threads dropblock_parallel_for may use. */
API void dropblock_threads(int32_t most) { threads = most; }

/* ---- line 5: the stream of stream.py ---- */

typedef struct {
    /* What a batch's seeds depend on: see stream.Batch and stream.Segments. */
    uint32_t key[2], stream, sample_offset;
    int64_t samples, maps;
    uint32_t per_map, packed, cuts, width, rows, length;
    const uint32_t *thresholds; /* T_1 > ... > T_length, all below 2^32 */
    uint8_t row_of[32]; /* of each position, where rows are packed */
    /* Where bits lie: from one sample, map or unit of a row to the next, and each row of anchors in its map. */
    int64_t sample_stride, map_stride, unit_stride;
    const int64_t *row_start;
    /* Line 6 is a shift by each of these. */
    const int64_t *shifts;
    int64_t n_shifts;
    /* A task has whole words of its own, or threads would lose one another's bits: `pieces_a_task` pieces (maps, or
     * samples where channels are last) of `piece_bits`; or of one sample `slab` channels, a multiple of 64. */
    int64_t pieces, maps_a_piece, piece_bits, pieces_a_task, slab;
    uint64_t *state;
    int64_t dropped; /* out: the bits set */
} mask_t;

enum { CALLS = 1024, LANES = 16 }; /* of the generator at a time, and in its innermost loop */

/* Philox4x32-10 of the counters (group[i], sample, k, stream): words[l][i] is the draw of segment 4 group[i] + l.
 * A word has 64 bits to itself, which spares the products from being packed; only its lower half means anything. */
CLONES static void philox_plain(const uint32_t *restrict group, int calls, uint32_t sample, uint32_t k,
                                const mask_t *m, uint32_t words[restrict 4][CALLS]) {
    for (int first = 0; first < calls; first += LANES) {
        uint64_t a[LANES], b[LANES], c[LANES], d[LANES];
        uint32_t key0 = m->key[0], key1 = m->key[1];
        for (int i = 0; i < LANES; i++) a[i] = group[first + i], b[i] = sample, c[i] = k, d[i] = m->stream;
        for (int round = 0; round < 10; round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u)
            for (int i = 0; i < LANES; i++) {
                uint64_t p = (uint64_t)(uint32_t)a[i] * 0xD2511F53u, q = (uint64_t)(uint32_t)c[i] * 0xCD9E8D57u;
                a[i] = q >> 32 ^ b[i] ^ key0, b[i] = q;
                c[i] = p >> 32 ^ d[i] ^ key1, d[i] = p;
            }
        for (int i = 0; i < LANES; i++) {
            words[0][first + i] = (uint32_t)a[i], words[1][first + i] = (uint32_t)b[i];
            words[2][first + i] = (uint32_t)c[i], words[3][first + i] = (uint32_t)d[i];
        }
    }
}

#if BY_HAND
AVX2 static void philox_by_hand(const uint32_t *restrict group, int calls, uint32_t sample, uint32_t k, const mask_t *m,
                                uint32_t words[restrict 4][CALLS]) {
    enum { N = 2 }; /* more would not fit into the registers */
    const __m256i m0 = _mm256_set1_epi64x(0xD2511F53u), m1 = _mm256_set1_epi64x(0xCD9E8D57u);
    const __m256i lower = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    for (int first = 0; first < calls; first += 4 * N) {
        __m256i w[4][N];
        for (int i = 0; i < N; i++) {
            w[0][i] = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(group + first + 4 * i)));
            w[1][i] = _mm256_set1_epi64x(sample), w[2][i] = _mm256_set1_epi64x(k), w[3][i] = _mm256_set1_epi64x(m->stream);
        }
        uint32_t key0 = m->key[0], key1 = m->key[1];
        for (int round = 0; round < 10; round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u)
            for (int i = 0; i < N; i++) {
                __m256i p = _mm256_mul_epu32(w[0][i], m0), q = _mm256_mul_epu32(w[2][i], m1);
                __m256i b = _mm256_xor_si256(w[1][i], _mm256_set1_epi64x(key0));
                __m256i d = _mm256_xor_si256(w[3][i], _mm256_set1_epi64x(key1));
                w[0][i] = _mm256_xor_si256(_mm256_srli_epi64(q, 32), b), w[1][i] = q;
                w[2][i] = _mm256_xor_si256(_mm256_srli_epi64(p, 32), d), w[3][i] = p;
            }
        for (int lane = 0; lane < 4; lane++)
            for (int i = 0; i < N; i++) {
                __m256i packed = _mm256_permutevar8x32_epi32(w[lane][i], lower);
                _mm_storeu_si128((__m128i *)&words[lane][first + 4 * i], _mm256_castsi256_si128(packed));
            }
    }
}
#endif

static void philox(const uint32_t *group, int calls, uint32_t sample, uint32_t k, const mask_t *m,
                   uint32_t words[4][CALLS]) {
#if BY_HAND
    if (HAS_AVX2) {
        philox_by_hand(group, calls, sample, k, m, words);
        return;
    }
#endif
    philox_plain(group, calls, sample, k, m, words);
}

/* position[i] += gap(u[i]) = #{j : u[i] < T_j} */
CLONES static void skip(const uint32_t *restrict u, uint32_t *restrict position, int draws, const mask_t *m) {
    const uint32_t quarter = m->length / 4;
    for (int first = 0; first < draws; first += LANES) {
        uint32_t gap[LANES] = {0}, lowest = UINT32_MAX;
        for (int i = 0; i < LANES; i++) lowest = u[first + i] < lowest ? u[first + i] : lowest;
        /* The thresholds fall, so fast where seeds are dense that nobody is below most of them. */
        const uint32_t length = quarter && lowest >= m->thresholds[quarter - 1] ? quarter : m->length;
        for (uint32_t j = 0; j < length; j++)
            for (int i = 0; i < LANES; i++) gap[i] += u[first + i] < m->thresholds[j];
        for (int i = 0; i < LANES; i++) position[first + i] += gap[i];
    }
}

/* Segments that may hold another seed, in ascending order: their numbers, where they go on, and what they drew. */
typedef struct {
    uint32_t segment[4 * CALLS + LANES], position[4 * CALLS + LANES], u[4 * CALLS + LANES];
} active_t;

/* Note the seeds that the segments have come to, and keep the segments with room for another one. `group` gets the
 * calls of the generator for their next draws, and `u` the number of its call. Nothing branches on what was drawn. */
static int note(uint32_t length, int left, active_t *a, uint32_t *seeds, uint32_t first, uint32_t *group, int *calls) {
    int going = 0, made = 0;
    uint32_t before = UINT32_MAX;
    for (int i = 0; i < left; i++) {
        const uint32_t s = a->segment[i], position = a->position[i];
        seeds[s] |= (uint32_t)(position < length) << (position & 31);
        const uint32_t stays = position + 1 < length;
        made += stays & (s >> 2 != before); /* four segments share a call */
        before = stays ? s >> 2 : before;
        group[made ? made - 1 : 0] = first + before;
        a->segment[going] = s, a->position[going] = position + 1, a->u[going] = (uint32_t)made - 1;
        going += (int)stays;
    }
    *calls = made;
    return going;
}

/* Set `bits` from a bit on. Its neighbours may be another thread's words. */
INLINE void set(uint64_t *state, int64_t bit, uint64_t bits) {
    const uint64_t above = bits >> 1 >> (63 - (bit & 63));
    state[bit >> 6] |= bits << (bit & 63);
    if (above) state[(bit >> 6) + 1] |= above;
}

/* Set the seeds of one segment, number `s` of the map whose bits begin at `home`, a row of anchors at a time. */
INLINE void place(const mask_t *m, int64_t home, uint32_t s, uint64_t seeds) {
    const uint32_t across = m->packed ? m->width : 32;
    while (seeds) {
        const uint32_t line = m->packed ? m->row_of[__builtin_ctzll(seeds)] : 0;
        const uint32_t row = m->packed ? s * m->packed + line : s / m->cuts, column = m->packed ? 0 : s % m->cuts * 32;
        const uint32_t size = m->width - column < across ? m->width - column : across;
        uint64_t bits = seeds >> line * across & ((1ull << size) - 1);
        seeds &= ~(((1ull << across) - 1) << line * across);
        if (row >= m->rows) break;
        const int64_t bit = home + m->row_start[row] + column * m->unit_stride;
        if (m->unit_stride == 1) set(m->state, bit, bits);
        else for (; bits; bits &= bits - 1) set(m->state, bit + __builtin_ctzll(bits) * m->unit_stride, 1);
    }
}

/* highest[i] = the highest draw of a call's four */
CLONES static void of_four(uint32_t words[restrict 4][CALLS], int calls, uint32_t *restrict highest) {
    for (int i = 0; i < calls; i++) {
        const uint32_t a = words[0][i] > words[1][i] ? words[0][i] : words[1][i];
        const uint32_t b = words[2][i] > words[3][i] ? words[2][i] : words[3][i];
        highest[i] = a > b ? a : b;
    }
}

/* The seeds of the segments [from, to) of a sample. Few segments hold one, so each draw is for those left. */
static void draw_segments(const mask_t *m, int64_t sample, int64_t from, int64_t to) {
    uint32_t group[CALLS + LANES], highest[CALLS], words[4][CALLS], seeds[4 * CALLS], touched[4 * CALLS];
    active_t a;
    const uint32_t number = m->sample_offset + (uint32_t)sample, last = m->thresholds[m->length - 1];
    for (int64_t first = from / 4; 4 * first < to; first += CALLS) {
        int calls = (int)((to + 3) / 4 - first < CALLS ? (to + 3) / 4 - first : CALLS), left = 0;
        for (int i = 0; i < calls + LANES; i++) group[i] = (uint32_t)(first + i);
        philox(group, calls, number, 0, m, words);
        of_four(words, calls, highest);
        int some = 0; /* calls with a draw whose gap does not leave its segment */
        for (int i = 0; i < calls; i++) group[some] = (uint32_t)i, some += highest[i] >= last;
        for (int c = 0; c < some; c++)
            for (uint32_t lane = 0, i = group[c]; lane < 4; lane++) {
                const int64_t s = 4 * (first + i) + lane;
                a.segment[left] = 4 * i + lane, a.position[left] = 0, a.u[left] = words[lane][i];
                left += (words[lane][i] >= last) & (s >= from) & (s < to);
            }
        const int n_touched = left;
        memcpy(touched, a.segment, sizeof *touched * left);
        for (int i = 0; i < left; i++) seeds[touched[i]] = 0;
        for (uint32_t k = 1; left; k++) {
            memset(&a.u[left], 0, sizeof(uint32_t) * LANES), memset(&a.position[left], 0, sizeof(uint32_t) * LANES);
            skip(a.u, a.position, left, m);
            left = note(m->length, left, &a, seeds, (uint32_t)first, group, &calls);
            memset(&group[calls], 0, sizeof(uint32_t) * LANES);
            philox(group, calls, number, k, m, words);
            for (int i = 0; i < left; i++) a.u[i] = words[a.segment[i] & 3][a.u[i]];
        }
        uint32_t map = (uint32_t)(4 * first / m->per_map), map_start = map * m->per_map;
        for (int i = 0; i < n_touched; i++) {
            const uint32_t s = (uint32_t)(4 * first) + touched[i];
            if (s - map_start >= m->per_map)
                map = s - map_start < 2 * m->per_map ? map + 1 : s / m->per_map, map_start = map * m->per_map;
            place(m, sample * m->sample_stride + map * m->map_stride, s - map_start, seeds[touched[i]]);
        }
    }
}

/* ---- line 6, and the count of line 8 ---- */

/* bits |= bits << by, in place, from the end */
CLONES static void shift_or(uint64_t *w, int64_t words, int64_t by) {
    int64_t far = by >> 6, near = by & 63;
    if (far >= words) return;
    if (near) {
#pragma GCC ivdep
        for (int64_t i = words - 1; i > far; i--) w[i] |= w[i - far] << near | w[i - far - 1] >> (64 - near);
        w[far] |= w[0] << near;
    } else {
#pragma GCC ivdep
        for (int64_t i = words - 1; i >= far; i--) w[i] |= w[i - far];
    }
}

CLONES static int64_t popcount(const uint64_t *w, int64_t words) {
    int64_t ones = 0;
    for (int64_t i = 0; i < words; i++) ones += __builtin_popcountll(w[i]);
    return ones;
}

static int64_t mask_pieces(const mask_t *m, int64_t first, int64_t last) {
    uint64_t *w = m->state + (first * m->piece_bits >> 6);
    int64_t words = ((last * m->piece_bits + 63) >> 6) - (first * m->piece_bits >> 6);
    memset(w, 0, sizeof *w * words);
    for (int64_t map = first * m->maps_a_piece, end = last * m->maps_a_piece; map < end;) {
        int64_t sample = map / m->maps, c = map % m->maps, c_end = c + end - map < m->maps ? c + end - map : m->maps;
        draw_segments(m, sample, c * m->per_map, c_end * m->per_map);
        map += c_end - c;
    }
    for (int64_t i = 0; i < m->n_shifts; i++) shift_or(w, words, m->shifts[i]);
    return popcount(w, words);
}

/* Channels last, `slab` of them: a column of whole words in each unit. */
static int64_t mask_slab(const mask_t *m, int64_t sample, int64_t c) {
    int64_t pitch = m->maps >> 6, size = m->sample_stride >> 6, ones = 0;
    int64_t c_end = c + m->slab < m->maps ? c + m->slab : m->maps, width = (c_end - c) >> 6;
    uint64_t *w = m->state + sample * size + (c >> 6);
    for (int64_t i = 0; i < size; i += pitch) memset(w + i, 0, sizeof *w * width);
    draw_segments(m, sample, c * m->per_map, c_end * m->per_map);
    for (int64_t s = 0; s < m->n_shifts; s++) {
        int64_t by = m->shifts[s] >> 6;
        for (int64_t i = size - pitch; i >= by; i -= pitch)
            for (int64_t j = 0; j < width; j++) w[i + j] |= w[i + j - by];
    }
    for (int64_t i = 0; i < size; i += pitch) ones += popcount(w + i, width);
    return ones;
}

static void mask_tasks(int64_t begin, int64_t end, void *context) {
    mask_t *m = context;
    int64_t slabs = m->slab ? (m->maps + m->slab - 1) / m->slab : 1, dropped = 0;
    for (int64_t task = begin; task < end; task++) {
        int64_t first = task * m->pieces_a_task, last = first + m->pieces_a_task;
        dropped += m->slab ? mask_slab(m, task / slabs, task % slabs * m->slab)
                           : mask_pieces(m, first, last < m->pieces ? last : m->pieces);
    }
    __atomic_fetch_add(&m->dropped, dropped, __ATOMIC_RELAXED);
}

/* Draw a mask into m->state; returns how many of its bits are set. */
API int64_t dropblock_mask(mask_t *m, parallel_for_t *parallel_for) {
    int64_t slabs = m->slab ? (m->maps + m->slab - 1) / m->slab : 0;
    m->dropped = 0;
    run(parallel_for, slabs ? m->samples * slabs : (m->pieces + m->pieces_a_task - 1) / m->pieces_a_task, mask_tasks, m);
    return m->dropped;
}

/* The bits set in each of `scopes` stretches of `span` bits. */
API void dropblock_count(const uint64_t *state, int64_t scopes, int64_t span, int64_t *dropped) {
    for (int64_t scope = 0; scope < scopes; scope++) {
        int64_t ones = 0, size;
        for (int64_t bit = scope * span, end = bit + span; bit < end; bit += size) {
            size = 64 - (bit & 63) < end - bit ? 64 - (bit & 63) : end - bit;
            ones += __builtin_popcountll(state[bit >> 6] >> (bit & 63) << (64 - size));
        }
        dropped[scope] = ones;
    }
}

/* ---- lines 7 and 8 ---- */

INLINE float as_float(uint32_t bits) { float f; memcpy(&f, &bits, 4); return f; }
INLINE uint32_t as_bits(float f) { uint32_t bits; memcpy(&bits, &f, 4); return bits; }

INLINE float from_bf16(uint16_t h) { return as_float((uint32_t)h << 16); }
INLINE uint16_t to_bf16(float f) { /* half to even; NaN keeps its sign */
    uint32_t bits = as_bits(f), nan = -(uint32_t)((bits & 0x7FFFFFFF) > 0x7F800000);
    return (uint16_t)(((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 & ~nan) | ((bits >> 16 | 0x40) & nan));
}
#ifdef __aarch64__ /* converts by itself */
typedef __fp16 half_t;
INLINE float from_f16(half_t h) { return h; }
INLINE half_t to_f16(float f) { return f; }
#else
typedef uint16_t half_t;
INLINE float from_f16(half_t h) {
    uint32_t size = (uint32_t)(h & 0x7FFF) << 13, bits = as_bits(as_float(size) * 0x1p112f);
    bits |= -(uint32_t)(size >= 0x0F800000) & 0x7F800000; /* infinity and NaN */
    return as_float(bits | (uint32_t)(h & 0x8000) << 16);
}
INLINE half_t to_f16(float f) { /* half to even */
    uint32_t bits = as_bits(f), size = bits & 0x7FFFFFFF;
    uint32_t normal = (size - 0x38000000 + 0xFFF + (size >> 13 & 1)) >> 13;
    uint32_t small = as_bits(as_float(size) + 0.5f) - 0x3F000000; /* the sum rounds where a subnormal ends */
    uint32_t is_small = -(uint32_t)(size < 0x38800000), is_large = -(uint32_t)(size >= 0x477FF000);
    uint32_t is_nan = -(uint32_t)(size > 0x7F800000);
    uint32_t h = (small & is_small) | (normal & ~is_small);
    return (half_t)((bits >> 16 & 0x8000) | (((h & ~is_large) | (0x7C00 & is_large)) | (0x200 & is_nan)));
}
#endif
#define SAME(v) (v)

/* The next `size` bits, at most 32, from any bit on; those above them are any. */
INLINE uint32_t window(const uint64_t *state, int64_t bit, int size) {
    uint64_t w = state[bit >> 6] >> (bit & 63);
    if ((bit & 63) + size > 64) w |= state[(bit >> 6) + 1] << (64 - (bit & 63));
    return (uint32_t)w;
}

#define BITS4(j) 1u << (j), 1u << ((j) + 1), 1u << ((j) + 2), 1u << ((j) + 3)
#define BITS16(j) BITS4(j), BITS4((j) + 4), BITS4((j) + 8), BITS4((j) + 12)
static const uint16_t BIT16[] = {BITS16(0)};
static const uint32_t BIT32[] = {BITS16(0), BITS16(16)};
static const uint64_t BIT64[] = {BITS16(0), BITS16(16)};

/* T as it lies in memory, U an unsigned integer of its size, SIZE of them at a time, W in which the product is made */
#define UNITS(NAME, T, U, BIT, SIZE, W, LOAD, STORE)                                                                   \
    CLONES static void units_##NAME(const void *from, void *to, const uint64_t *state, int64_t bit, int64_t units,     \
                                    double factor) {                                                                   \
        const T *restrict x = from;                                                                                    \
        T *restrict y = to;                                                                                            \
        const W scale = (W)factor;                                                                                     \
        int64_t i = 0;                                                                                                 \
        for (; i + SIZE <= units; i += SIZE) {                                                                         \
            const U w = (U)window(state, bit + i, SIZE);                                                               \
            for (int j = 0; j < SIZE; j++) {                                                                           \
                T product = STORE(LOAD(x[i + j]) * scale);                                                             \
                U kept;                                                                                                \
                memcpy(&kept, &product, sizeof kept);                                                                  \
                kept &= -(U)((w & BIT[j]) == 0); /* selecting, as 0 * NaN is not 0 */                                  \
                memcpy(&y[i + j], &kept, sizeof kept);                                                                 \
            }                                                                                                          \
        }                                                                                                              \
        for (; i < units; i++) y[i] = window(state, bit + i, 1) & 1 ? (T)0 : STORE(LOAD(x[i]) * scale);                \
    }
UNITS(f32, float, uint32_t, BIT32, 32, float, SAME, SAME)
UNITS(f64, double, uint64_t, BIT64, 32, double, SAME, SAME)
UNITS(bf16, uint16_t, uint16_t, BIT16, 16, float, from_bf16, to_bf16)
UNITS(f16, half_t, uint16_t, BIT16, 16, float, from_f16, to_f16)

#if BY_HAND
AVX2 static void units_f16_by_hand(const void *from, void *to, const uint64_t *state, int64_t bit, int64_t units,
                                   double factor) {
    const __m128i bits = _mm_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256 scale = _mm256_set1_ps((float)factor);
    int64_t i = 0;
    for (; i + 8 <= units; i += 8) {
        __m128i x = _mm_loadu_si128((const __m128i *)((const half_t *)from + i));
        __m128i y = _mm256_cvtps_ph(_mm256_mul_ps(_mm256_cvtph_ps(x), scale), _MM_FROUND_TO_NEAREST_INT);
        __m128i w = _mm_and_si128(_mm_set1_epi16((short)window(state, bit + i, 8)), bits);
        _mm_storeu_si128((__m128i *)((half_t *)to + i), _mm_andnot_si128(_mm_cmpeq_epi16(w, bits), y));
    }
    units_f16((const half_t *)from + i, (half_t *)to + i, state, bit + i, units - i, factor);
}

/* half to even, in the upper half of each word; NaN keeps its sign */
AVX2 INLINE __m256i round_to_bf16(__m256 x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
    const __m256i nan = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    return _mm256_blendv_epi8(rounded, nan, _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
}

/* Each word of 32 bits holds two numbers. */
AVX2 static void units_bf16_by_hand(const void *from, void *to, const uint64_t *state, int64_t bit, int64_t units,
                                    double factor) {
    const __m256i bits = _mm256_loadu_si256((const __m256i *)BIT16), upper = _mm256_set1_epi32((int)0xFFFF0000u);
    const __m256 scale = _mm256_set1_ps((float)factor);
    int64_t i = 0;
    for (; i + 16 <= units; i += 16) {
        const __m256i x = _mm256_loadu_si256((const __m256i *)((const uint16_t *)from + i));
        __m256i even = round_to_bf16(_mm256_mul_ps(_mm256_castsi256_ps(_mm256_slli_epi32(x, 16)), scale));
        __m256i odd = round_to_bf16(_mm256_mul_ps(_mm256_castsi256_ps(_mm256_and_si256(x, upper)), scale));
        __m256i y = _mm256_or_si256(_mm256_srli_epi32(even, 16), _mm256_and_si256(odd, upper));
        __m256i w = _mm256_and_si256(_mm256_set1_epi16((short)window(state, bit + i, 16)), bits);
        _mm256_storeu_si256((__m256i *)((uint16_t *)to + i), _mm256_andnot_si256(_mm256_cmpeq_epi16(w, bits), y));
    }
    units_bf16((const uint16_t *)from + i, (uint16_t *)to + i, state, bit + i, units - i, factor);
}
#endif

enum { F32, F64, BF16, F16 };
static const int64_t ITEM[] = {4, 8, 2, 2};

typedef struct {
    const char *x;
    char *y;
    const uint64_t *state;
    const void *scale; /* in the type of the product: double for doubles, else float */
    /* Memory is rows of `row` elements. So many rows after one another have the same bits, or the same factor; where
     * `bit_a_row`, one bit serves all of a row (channels that share a mask, and are last). */
    int64_t rows, row, rows_a_mask, rows_a_scale, bit_a_row, dtype;
} units_t;

enum { ELEMENTS = 1 << 14 }; /* a task's */

static void units_tasks(int64_t begin, int64_t end, void *context) {
    const units_t *u = context;
    void (*apply[])(const void *, void *, const uint64_t *, int64_t, int64_t, double) = {units_f32, units_f64, units_bf16,
                                                                                        units_f16};
#if BY_HAND
    if (HAS_AVX2) apply[F16] = units_f16_by_hand, apply[BF16] = units_bf16_by_hand;
#endif
    static const uint64_t none[ELEMENTS / 64];
    const int64_t all = u->rows * u->row, size = ITEM[u->dtype];
    int64_t at = begin * ELEMENTS, stop = end * ELEMENTS < all ? end * ELEMENTS : all;
    for (int64_t units; at < stop; at += units) {
        int64_t row = at / u->row, left = (row + 1) * u->row - at;
        units = left < stop - at ? left : stop - at;
        int64_t scope = row / u->rows_a_scale;
        double scale = u->dtype == F64 ? ((const double *)u->scale)[scope] : ((const float *)u->scale)[scope];
        const char *x = u->x + at * size;
        char *y = u->y + at * size;
        if (!u->bit_a_row) {
            apply[u->dtype](x, y, u->state, row / u->rows_a_mask * u->row + at - row * u->row, units, scale);
        } else if (u->state[row >> 6] >> (row & 63) & 1) {
            memset(y, 0, size * units);
        } else {
            units = units < ELEMENTS ? units : ELEMENTS; /* the bits that there are for it */
            apply[u->dtype](x, y, none, 0, units, scale);
        }
    }
}

/* y = dropped ? +0 : x * scale, rounded once */
API void dropblock_apply(units_t *u, parallel_for_t *parallel_for) {
    run(parallel_for, (u->rows * u->row + ELEMENTS - 1) / ELEMENTS, units_tasks, u);
}

/* The layout of the structures above, which the caller must know. */
API int32_t dropblock_abi(void) { return 3; }
