#!/bin/sh
# Runs a unit test under memcheck: any error, and any block that is lost, fails it; libcheck's children
# are looked at one by one. OpenBLAS takes its AVX2 kernels, since memcheck knows no AVX-512; libjpeg-turbo
# does without SIMD, in which memcheck takes pixels for uninitialised that do not depend on what malloc gave.
export OPENBLAS_CORETYPE=Haswell JSIMD_FORCENONE=1 CK_TIMEOUT_MULTIPLIER=30
exec valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,possible \
    --suppressions="${top_srcdir:-.}/tests/detectors/valgrind.supp" "$@"
