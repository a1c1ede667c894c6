// SPDX-License-Identifier: Apache-2.0
// wordpiece.h - text to token numbers, as BERT's uncased models want them.
#ifndef WORDPIECE_H_
#define WORDPIECE_H_

#include <stddef.h>
#include <stdint.h>

typedef struct wordpiece wordpiece;

// From vocab.txt: one token a line, its number is that of the line. NULL: the
// file cannot be read or is no vocabulary.
wordpiece *wordpiece_load(const char *path);
void wordpiece_free(wordpiece *w);

// [CLS], the tokens of the UTF-8 text, [SEP]: at most `room` (two or more), cut
// there. Returns their number.
size_t wordpiece_encode(const wordpiece *w, const char *text, int64_t *ids, size_t room);

#endif  // WORDPIECE_H_
