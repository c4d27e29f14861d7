/* The most 8-bit multiply-accumulates that one thread of this processor does: chains of the widest dot products that the
   compiler has for it, on registers alone. Products of unsigned and signed bytes, sums in 32 bits. */
#include <immintrin.h>
#include <stdint.h>

#if defined(__AVX512VNNI__)
typedef __m512i vector;
#define DOT(s, a, b) _mm512_dpbusd_epi32(s, a, b)
#define FILLED(x) _mm512_set1_epi8(x)
#define INSTRUCTIONS "vpdpbusd, 512 bits"
#define REGISTER "+v"
#elif defined(__AVXVNNI__)
typedef __m256i vector;
#define DOT(s, a, b) _mm256_dpbusd_avx_epi32(s, a, b)
#define FILLED(x) _mm256_set1_epi8(x)
#define INSTRUCTIONS "vpdpbusd, 256 bits"
#define REGISTER "+x"
#elif defined(__AVX512BW__)
typedef __m512i vector;
#define DOT(s, a, b) _mm512_add_epi32(s, _mm512_madd_epi16(_mm512_maddubs_epi16(a, b), _mm512_set1_epi16(1)))
#define FILLED(x) _mm512_set1_epi8(x)
#define INSTRUCTIONS "vpmaddubsw and vpmaddwd, 512 bits"
#define REGISTER "+v"
#elif defined(__AVX2__)
typedef __m256i vector;
#define DOT(s, a, b) _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1)))
#define FILLED(x) _mm256_set1_epi8(x)
#define INSTRUCTIONS "vpmaddubsw and vpmaddwd, 256 bits"
#define REGISTER "+x"
#elif defined(__SSSE3__)
typedef __m128i vector;
#define DOT(s, a, b) _mm_add_epi32(s, _mm_madd_epi16(_mm_maddubs_epi16(a, b), _mm_set1_epi16(1)))
#define FILLED(x) _mm_set1_epi8(x)
#define INSTRUCTIONS "pmaddubsw and pmaddwd, 128 bits"
#define REGISTER "+x"
#else
#error "no 8-bit dot product is known for this processor"
#endif

/* Chains do not wait for each other: more than the instruction's latency times its throughput, fewer than registers. */
#define CHAINS 12

const char *peak_name(void);
int64_t peak_run(int64_t turns, int8_t x);

__attribute__((visibility("default"))) const char *peak_name(void) { return INSTRUCTIONS; }

/* Returns the multiply-accumulates done. */
__attribute__((visibility("default"))) int64_t peak_run(int64_t turns, int8_t x) {
    vector a = FILLED(x), b = FILLED(x), sums[CHAINS], all = FILLED(0);
    for (int k = 0; k < CHAINS; ++k) sums[k] = FILLED(0);
    for (int64_t n = 0; n < turns; ++n) {
        /* The compiler does not see that these stay what they are, and cannot take the products out of the loop. */
        __asm__ volatile("" : REGISTER(a), REGISTER(b));
        for (int k = 0; k < CHAINS; ++k) sums[k] = DOT(sums[k], a, b);
    }
    for (int k = 0; k < CHAINS; ++k) all ^= sums[k];
    __asm__ volatile("" : : "m"(all)); /* the sums are wanted */
    return turns * CHAINS * (int64_t)sizeof(vector);
}
