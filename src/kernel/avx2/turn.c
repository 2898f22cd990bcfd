#include "kernel/avx2/lanes.h"

typedef __m256 turn_vector;
LANES_INLINE turn_vector turn_load(const float *const *rows, size_t column)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(rows[0]+column)),_mm_loadu_ps(rows[4]+column),1);
}
#define turn_low _mm256_unpacklo_ps
#define turn_high _mm256_unpackhi_ps
#define turn_low_pairs(a, b) _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a),_mm256_castps_pd(b)))
#define turn_high_pairs(a, b) _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a),_mm256_castps_pd(b)))

#include "kernel/openblas/turn.h"

const struct conv_kernel f32_grouped__openblas_avx2 = {.name="f32_grouped__openblas_avx2",.isa="avx2",.own=&turn,BLAS_GROUPED_FUNCTIONS};
