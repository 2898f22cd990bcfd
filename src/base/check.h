/* Assertions, also in release builds. For programmer errors only, never for bytes of a client, a
 * model file or a configuration. */
#ifndef RESNEXT_BASE_CHECK_H
#define RESNEXT_BASE_CHECK_H

/* Writes the failed condition to standard error and aborts. */
_Noreturn void check_failed(const char *condition, const char *file, int line);

#define CHECK(condition) ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))

#endif
