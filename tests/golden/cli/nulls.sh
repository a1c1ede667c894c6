# SPDX-License-Identifier: Apache-2.0
# NULL in place of what the functions of a header take: a status, never the end of the process.
fovea compile small.xml -o libsmall.so >/dev/null
cat >main.c <<'EOF'
#include <stdio.h>

#include "small.h"

int main(void) {
  small_ctx *a;
  small_main_shapes shapes;
  small_main_dims dims = {1, 2};
  small_main_in none = {0, 0, 0};
  printf("%d %d %d\n", small_main_bind(0, &dims), small_main_bind(0, 0),
         small_main_run(0, 0, 0, 0));
  printf("%d %d '%s'\n", small_for_run(0, 0, 0), small_main_output_dims(0, &shapes), small_error(0));
  small_destroy(0);
  if (small_create_with(0, &a, 0) != small_OK)
    return 1;
  printf("%d: %s\n", small_main_run(a, 0, 0, 0), small_error(a));
  printf("%d: %s\n", small_main_run(a, &dims, 0, 0), small_error(a));
  printf("%d: %s\n", small_main_run(a, &dims, &none, 0), small_error(a));
  printf("%d: %s\n", small_for_run(a, 0, 0), small_error(a));
  unsigned short class_[3] = {0, 0x3c00, 0xbc00};
  small_for_in in = {class_};
  printf("%d: %s\n", small_for_run(a, &in, 0), small_error(a));
  const struct small_api *api = small_get();
  int64_t n = 0;
  uint64_t size = 0;
  small_ctx *b = a;
  small_state s;
  printf("%d %d %d %d", api->dims(0, 0, 0, 0, &n), api->bytes(0, 0, 0, 0, &n), api->reset(0),
         api->fork(0, &b));
  printf(" %d %d %d %d %d\n", b == 0, api->save(0, 0, 0, &size), api->load(0, 0, 0), api->state(0, 0, &s),
         (int)api->workspace_bytes(0));
  small_destroy(a);
  return 0;
}
EOF
${CC:-cc} -std=c99 -Wall -Wextra -Werror main.c -o main -L. -lsmall -Wl,-rpath,"$PWD" && ./main
