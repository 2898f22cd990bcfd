/* Standard input, output and error. */
#ifndef RESNEXT_BASE_DESCRIPTORS_H
#define RESNEXT_BASE_DESCRIPTORS_H

/* Replaces closed standard descriptors by ones that fail in the same way, so that no file or socket
 * opened later becomes standard input, output or error by accident. To be called before anything is
 * opened. */
void descriptors_fill_standard(void);

#endif
