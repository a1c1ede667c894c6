// SPDX-License-Identifier: Apache-2.0
//
// How alike are some sentences? A program against a compiled model: it needs
// minilm.h, libminilm.so and a C compiler, and nothing of fovea.
//
//   demo VOCAB.txt [SENTENCE...]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "minilm.h"
#include "wordpiece.h"

enum { WIDTH = 384, MAX_TOKENS = 512, MAX_SENTENCES = 26, SHOWN = 48 };

static const char *const examples[] = {
    "A man is eating food.",
    "Someone is having a meal.",
    "The chef cooked dinner for his guests.",
    "The stock market fell sharply today.",
    "Shares lost much of their value this afternoon.",
    "A cat sleeps on the warm windowsill.",
    "The kitten is napping in the sun.",
};

typedef struct batch {
  size_t count, length;  // sentences, tokens of the longest
  int64_t *ids, *mask;   // [count, length]
  float *embedding;      // [count, WIDTH]
} batch;

static int make_batch(const wordpiece *w, const char *const *text, size_t count, batch *b) {
  int64_t *tokens = malloc(sizeof *tokens * count * MAX_TOKENS);
  size_t n[MAX_SENTENCES];
  *b = (batch){.count = count};
  if (!tokens)
    return 0;
  for (size_t i = 0; i < count; i++) {
    n[i] = wordpiece_encode(w, text[i], tokens + i * MAX_TOKENS, MAX_TOKENS);
    b->length = n[i] > b->length ? n[i] : b->length;
  }
  b->ids = calloc(count * b->length, sizeof *b->ids);
  b->mask = calloc(count * b->length, sizeof *b->mask);
  b->embedding = calloc(count * WIDTH, sizeof *b->embedding);
  for (size_t i = 0; b->ids && b->mask && i < count; i++)
    for (size_t k = 0; k < n[i]; k++) {
      b->ids[i * b->length + k] = tokens[i * MAX_TOKENS + k];
      b->mask[i * b->length + k] = 1;
    }
  free(tokens);
  return b->ids && b->mask && b->embedding;
}

static void free_batch(batch *b) {
  free(b->ids);
  free(b->mask);
  free(b->embedding);
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Runs the model twice: the first run also makes its workspace.
static int embed(const batch *b, double *time) {
  minilm_ctx *c;
  int32_t status = minilm_create(0, &c);
  if (status != minilm_OK) {
    fprintf(stderr, "demo: %s\n", minilm_status_text(status));
    return 0;
  }
  const minilm_embed_dims dims = {.B = (int64_t)b->count, .S = (int64_t)b->length};
  const minilm_embed_in in = {.ids = b->ids, .mask = b->mask};
  const minilm_embed_out out = {.embedding = b->embedding};
  for (int i = 0; i < 2 && status == minilm_OK; i++) {
    const double start = seconds();
    status = minilm_embed_run(c, &dims, &in, &out);
    *time = seconds() - start;
  }
  if (status != minilm_OK)
    fprintf(stderr, "demo: %s\n", minilm_error(c));
  minilm_destroy(c);
  return status == minilm_OK;
}

// The embeddings have length 1: their product is the cosine.
static double cosine(const batch *b, size_t i, size_t k) {
  double sum = 0;
  for (size_t d = 0; d < WIDTH; d++)
    sum += (double)b->embedding[i * WIDTH + d] * (double)b->embedding[k * WIDTH + d];
  return sum;
}

// Columns of text, not bytes; cut at `columns`.
static void print_text(const char *s, int columns) {
  int n = 0;
  for (; *s && n < columns; n++) {
    do
      putchar(*s++);
    while (((unsigned char)*s & 0xC0) == 0x80);
  }
  printf("%*s", columns - n, "");
}

static void print_table(const batch *b, const char *const *text) {
  printf("\n  %*s", SHOWN + 3, "");
  for (size_t k = 0; k < b->count; k++)
    printf("     %c", (char)('A' + (int)k));
  printf("   nearest\n");
  for (size_t i = 0; i < b->count; i++) {
    size_t nearest = i;
    printf("  %c  ", (char)('A' + (int)i));
    print_text(text[i], SHOWN);
    for (size_t k = 0; k < b->count; k++) {
      printf(" %5.2f", cosine(b, i, k));
      if (k != i && (nearest == i || cosine(b, i, k) > cosine(b, i, nearest)))
        nearest = k;
    }
    printf(nearest == i ? "\n" : "   %c\n", (char)('A' + (int)nearest));
  }
  printf("\n");
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: demo VOCAB.txt [SENTENCE...]\n");
    return 2;
  }
  const char *const *text = argc > 2 ? (const char *const *)argv + 2 : examples;
  size_t count = argc > 2 ? (size_t)argc - 2 : sizeof examples / sizeof *examples;
  if (count > MAX_SENTENCES) {
    fprintf(stderr, "demo: more than %d sentences: the first %d count\n", MAX_SENTENCES,
            MAX_SENTENCES);
    count = MAX_SENTENCES;
  }
  wordpiece *w = wordpiece_load(argv[1]);
  if (!w) {
    fprintf(stderr, "demo: '%s' is no vocabulary\n", argv[1]);
    return 1;
  }
  batch b;
  double time = 0;
  const int ok = make_batch(w, text, count, &b) && embed(&b, &time);
  if (ok) {
    printf("\nCosine similarity of sentence embeddings, all-MiniLM-L6-v2");
    print_table(&b, text);
    printf("%zu sentences of up to %zu tokens in %.1f ms\n", b.count, b.length, 1e3 * time);
  }
  free_batch(&b);
  wordpiece_free(w);
  return ok ? 0 : 1;
}
