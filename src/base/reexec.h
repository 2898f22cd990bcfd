/* Starting again with one OpenBLAS thread. */
#ifndef RESNEXT_BASE_REEXEC_H
#define RESNEXT_BASE_REEXEC_H

/* OpenBLAS reads OPENBLAS_NUM_THREADS and starts its threads before main, so the only way to have
 * none is to be executed with the variable set. If it is not 1, this sets it and executes the
 * program again with the same arguments and process id; otherwise, or if that is impossible (then
 * with a warning), it returns. Never more than one attempt a process. First thing in main. */
void reexec_with_one_blas_thread(char *const *argv);

/* Sets a variable and executes the program again, with the same arguments and process id; returns
 * if that is impossible. The caller sees to it that there is an end. */
void reexec_with(const char *variable, const char *value, char *const *argv);

#endif
