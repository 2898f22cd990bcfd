/* Characters of tokens (RFC 9110, section 5.6.2): methods, names of headers and of parameters. */
#ifndef RESNEXT_HTTP_TOKEN_H
#define RESNEXT_HTTP_TOKEN_H

#define TOKEN_MARKS              "!#$%&'*+-.^_`|~"
#define TOKEN_LETTERS_AND_DIGITS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define TOKEN_CHARACTERS         TOKEN_MARKS TOKEN_LETTERS_AND_DIGITS

#endif
