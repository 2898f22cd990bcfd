/* Standard input, output and error. */
#ifndef RESNEXT_BASE_DESCRIPTORS_H
#define RESNEXT_BASE_DESCRIPTORS_H

/* A file or socket opened later must not become standard input, output or error by accident: those
 * that are closed are replaced by something that fails in the same way. Before anything is opened.
 */
void descriptors_fill_standard(void);

#endif
