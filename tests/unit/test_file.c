// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <signal.h>

#include "base/beneath.h"
#include "tests/unit/unit.h"

static char *old_dir;
static const char *dir;
static fv_arena *ar;
static collected messages;
static fv_diag_sink sink;

static int set_up(void **state) {
  (void)state;
  old_dir = getcwd(NULL, 0);
  dir = scratch_dir();
  ar = fv_arena_create(NULL);
  messages = (collected){.text = ""};
  sink = COLLECTING_SINK(&messages);
  return chdir(dir);
}

static int tear_down(void **state) {
  (void)state;
  fv_arena_destroy(ar);
  if (chdir(old_dir) != 0)
    return -1;
  free(old_dir);
  char command[5000];
  snprintf(command, sizeof command, "chmod -R u+w '%s' && rm -rf '%s'", dir, dir);
  return system(command);
}

static void put(const char *path, const char *text) {
  const fv_piece piece = {.data = text, .size = strlen(text)};
  assert_int_equal(
      fv_files_write(&(fv_new_file){.path = path, .piece = &piece, .count = 1, .mode = 0644}, 1,
                     &sink),
      FV_OK);
}

// Fails unless `path` holds `text`.
static void expect(const char *path, const char *text) {
  char *data;
  size_t size;
  assert_int_equal(fv_file_read(ar, path, 1 << 20, &sink, NULL, &data, &size), FV_OK);
  assert_int_equal(size, strlen(text));
  assert_string_equal(data, text);
}

static size_t count_entries(const char *path) {
  size_t n = 0;
  DIR *d = opendir(path);
  assert_non_null(d);
  while (readdir(d))
    n++;
  closedir(d);
  return n - 2;
}

// `status` with a message that holds `text`, which is forgotten then.
static void assert_message(fv_status got, fv_status status, const char *text) {
  assert_int_equal(got, status);
  if (!strstr(messages.text, text))
    fail_msg("'%s' is not in '%s'", text, messages.text);
  messages.text[0] = '\0';
}

static fv_status read_file(const char *path, size_t max_bytes) {
  char *data;
  size_t size;
  return fv_file_read(ar, path, max_bytes, &sink, NULL, &data, &size);
}

static fv_status map_file(const char *path) {
  const void *data;
  size_t size;
  return fv_file_map(ar, path, &sink, NULL, &data, &size);
}

static fv_status map_beneath(const char *at, const char *name) {
  const void *data;
  size_t size;
  return fv_file_map_beneath(ar, at, name, &sink, NULL, &data, &size);
}

static fv_status write_file(const char *path, const char *text) {
  const fv_piece piece = {.data = text, .size = strlen(text)};
  return fv_files_write(&(fv_new_file){.path = path, .piece = &piece, .count = 1, .mode = 0644}, 1,
                        &sink);
}

static void writes_and_reads(void **state) {
  (void)state;
  const fv_piece pieces[] = {{"ab", 2}, {NULL, 0}, {"cd", 2}};
  assert_int_equal(
      fv_files_write(&(fv_new_file){.path = "f", .piece = pieces, .count = 3, .mode = 0644}, 1,
                     &sink),
      FV_OK);
  expect("f", "abcd");
  put("f", "x");
  expect("f", "x");
  put("empty", "");
  expect("empty", "");
  assert_int_equal(count_entries("."), 2);
  struct stat st;
  assert_int_equal(stat("f", &st), 0);
  assert_int_equal(st.st_mode & 0111, 0);
  assert_int_equal(
      fv_files_write(&(fv_new_file){.path = "f", .piece = pieces, .count = 3, .mode = 0755}, 1,
                     &sink),
      FV_OK);
  assert_int_equal(stat("f", &st), 0);
  assert_int_equal(st.st_mode & 0100, 0100);
  assert_string_equal(messages.text, "");
}

static void maps(void **state) {
  (void)state;
  const void *data;
  size_t size;
  put("f", "abcd");
  put("empty", "");
  assert_int_equal(fv_file_map(ar, "f", &sink, NULL, &data, &size), FV_OK);
  assert_int_equal(size, 4);
  assert_memory_equal(data, "abcd", 4);
  assert_int_equal(fv_file_map(ar, "empty", &sink, NULL, &data, &size), FV_OK);
  assert_int_equal(size, 0);
  assert_non_null(data);
}

static void reads_files_that_hide_their_size(void **state) {
  (void)state;
  char *data;
  size_t size;
  if (access("/proc/self/status", R_OK) != 0)
    skip();
  assert_int_equal(fv_file_read(ar, "/proc/self/status", 1 << 20, &sink, NULL, &data, &size),
                   FV_OK);
  assert_true(size > 100);
  assert_int_equal(data[size], '\0');
  assert_message(read_file("/proc/self/status", 100), FV_ERR_LIMIT, "more than 100 bytes");
}

static void what_cannot_be_read_is_told(void **state) {
  (void)state;
  put("f", "abcd");
  assert_int_equal(mkfifo("fifo", 0600), 0);
  assert_message(read_file("none", 9), FV_ERR_IO, "cannot open 'none': No such file");
  assert_message(map_file("none"), FV_ERR_IO, "cannot open 'none': No such file");
  assert_message(read_file(".", 9), FV_ERR_IO, "cannot read '.': Is a directory");
  assert_message(read_file("fifo", 9), FV_ERR_IO, "'fifo': not a regular file");
  assert_message(map_file("fifo"), FV_ERR_IO, "'fifo': not a regular file");
  assert_message(read_file("/dev/zero", 9), FV_ERR_IO, "not a regular file");
  assert_message(read_file("f", 3), FV_ERR_LIMIT, "'f' has more than 3 bytes");
  assert_int_equal(read_file("f", 4), FV_OK);
  assert_message(read_file("f/g", 3), FV_ERR_IO, "Not a directory");
}

static void make_tree(void) {
  assert_int_equal(mkdir("in", 0755), 0);
  assert_int_equal(mkdir("in/sub", 0755), 0);
  put("outside", "secret");
  put("in/f", "abcd");
  put("in/sub/g", "efgh");
  assert_int_equal(symlink("../outside", "in/leaves"), 0);
  assert_int_equal(symlink("..", "in/up"), 0);
  assert_int_equal(symlink("/etc/passwd", "in/absolute"), 0);
  assert_int_equal(symlink("sub/g", "in/stays"), 0);
  assert_int_equal(symlink("loop", "in/loop"), 0);
  assert_int_equal(mkfifo("in/fifo", 0600), 0);
}

static void opens_beneath_a_directory_only(void **state) {
  (void)state;
  make_tree();
  assert_int_equal(map_beneath("in", "f"), FV_OK);
  assert_int_equal(map_beneath("in/", "sub/g"), FV_OK);
  assert_int_equal(map_beneath("", "in/sub/../f") == FV_OK, false);
  messages.text[0] = '\0';
  assert_int_equal(map_beneath("", "in/f"), FV_OK);
  assert_int_equal(map_beneath(".", "./in//f"), FV_OK);
  static const char *const out[] = {"../outside", "sub/../../outside", "/etc/passwd", "leaves",
                                    "up/outside", "absolute",          "..",          "sub/.."};
  for (size_t i = 0; i < FV_COUNTOF(out); i++)
    assert_message(map_beneath("in", out[i]), FV_ERR_IO, out[i]);
  assert_message(map_beneath("in", "none"), FV_ERR_IO, "'in/none': No such file");
  assert_message(map_beneath("none", "f"), FV_ERR_IO, "'none/f': No such file");
  assert_message(map_beneath("in", ""), FV_ERR_IO, "No such file");
  assert_message(map_beneath("in", "sub"), FV_ERR_IO, "Is a directory");
  assert_message(map_beneath("in", "loop"), FV_ERR_IO, "symbolic links");
  assert_message(map_beneath("in", "fifo"), FV_ERR_IO, "not a regular file");
}

static void old_kernels_walk(void **state) {
  (void)state;
  make_tree();
  static const char *const good[] = {"f", "sub/g", "./f", "sub//g"};
  for (size_t i = 0; i < FV_COUNTOF(good); i++) {
    const int fd = fv__open_beneath_walk("in", good[i]);
    assert_true(fd >= 0);
    close(fd);
  }
  static const char *const bad[] = {"",           "none",     "../outside", "/etc/passwd", "leaves",
                                    "up/outside", "absolute", "loop",       "f/x",         "stays"};
  for (size_t i = 0; i < FV_COUNTOF(bad); i++)
    assert_true(fv__open_beneath_walk("in", bad[i]) < 0);
  char longer[300];
  memset(longer, 'a', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  assert_true(fv__open_beneath_walk("in", longer) < 0);
  assert_true(fv__open_beneath_walk("none", "f") < 0);
}

// Bytes behind the pieces, changed after a look at all of them.
static fv_status write_more(void *user, fv_draft *d) {
  const void *data;
  size_t size;
  FV_TRY(fv_draft_view(d, &data, &size));
  assert_int_equal(size, *(size_t *)user);
  FV_TRY(fv_draft_put(d, "efgh", 4));
  FV_TRY(fv_draft_view(d, &data, &size));
  assert_int_equal(size, *(size_t *)user + 4);
  assert_memory_equal((const char *)data + size - 4, "efgh", 4);
  return fv_draft_patch(d, 1, "XY", 2);
}

static void drafts_are_looked_at_and_changed(void **state) {
  (void)state;
  const fv_piece piece = {"abcd", 4};
  size_t none = 0, four = 4;
  fv_new_file file = {.path = "f", .mode = 0644, .write = write_more, .user = &none};
  assert_int_equal(fv_files_write(&file, 1, &sink), FV_OK);
  expect("f", "eXYh");
  file =
      (fv_new_file){.path = "f", .piece = &piece, .count = 1, .write = write_more, .user = &four};
  file.mode = 0644;
  assert_int_equal(fv_files_write(&file, 1, &sink), FV_OK);
  expect("f", "aXYdefgh");
  file.path = "no/f";
  assert_message(fv_files_write(&file, 1, &sink), FV_ERR_IO, "'no/f'");
}

// Each byte of a mapping can be read again; what lies outside stays.
static void pages_are_given_back(void **state) {
  (void)state;
  char text[20001] = "", other[2 * 4096];
  const void *data;
  size_t size;
  memset(text, 'a', sizeof text - 1);
  memset(other, 'b', sizeof other);
  assert_int_equal(write_file("f", text), FV_OK);
  assert_int_equal(fv_file_map(ar, "f", &sink, NULL, &data, &size), FV_OK);
  const fv_mapping m = {data, size};
  fv_mapping_release(&m, data, size);
  fv_mapping_release(&m, (const char *)data + 5000, 9000);
  fv_mapping_release(&m, other, sizeof other);
  fv_mapping_release(NULL, other, sizeof other);
  assert_memory_equal(data, text, size);
  for (size_t i = 0; i < sizeof other; i++)
    assert_int_equal(other[i], 'b');
}

static void a_full_disk_is_told(void **state) {
  (void)state;
  if (access("/dev/full", W_OK) != 0)
    skip();
  assert_message(write_file("/dev/full", "x"), FV_ERR_IO, "'/dev/full': No space left on device");
  assert_int_equal(symlink("/dev/full", "full"), 0);
  assert_message(write_file("full", "x"), FV_ERR_IO, "No space left on device");
}

// A limit on file sizes stands for a disk that fills up in the middle.
static void failed_writes_leave_nothing(void **state) {
  (void)state;
  put("f", "old");
  struct rlimit before;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  const struct rlimit small = {.rlim_cur = 1000, .rlim_max = before.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  static char big[5000];
  const fv_piece piece = {.data = big, .size = sizeof big};
  const fv_status replaced = fv_files_write(
      &(fv_new_file){.path = "f", .piece = &piece, .count = 1, .mode = 0644}, 1, &sink);
  const fv_status made = fv_files_write(
      &(fv_new_file){.path = "g", .piece = &piece, .count = 1, .mode = 0644}, 1, &sink);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_message(replaced, FV_ERR_IO, "cannot write 'f': File too large");
  assert_int_equal(made, FV_ERR_IO);
  expect("f", "old");
  assert_int_equal(count_entries("."), 1);
}

// Of several files none is changed if one cannot be written.
static void all_or_none(void **state) {
  (void)state;
  put("f", "old");
  const fv_piece piece = {.data = "new", .size = 3};
  const fv_new_file wrong[] = {{.path = "f", .piece = &piece, .count = 1, .mode = 0644},
                               {.path = "g", .piece = &piece, .count = 1, .mode = 0644},
                               {.path = "no/h", .piece = &piece, .count = 1, .mode = 0644}};
  assert_message(fv_files_write(wrong, 3, &sink), FV_ERR_IO, "'no/h'");
  expect("f", "old");
  assert_int_equal(count_entries("."), 1);
  assert_int_equal(fv_files_write(wrong, 2, &sink), FV_OK);
  expect("f", "new");
  expect("g", "new");
  assert_int_equal(count_entries("."), 2);
}

// A signal that was held back while the contents were written: the files are as they were.
static void interrupted_writes_leave_nothing(void **state) {
  (void)state;
  static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
  for (size_t i = 0; i < FV_COUNTOF(ends); i++) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      sigset_t all;
      sigfillset(&all);
      sigprocmask(SIG_BLOCK, &all, NULL);
      raise(ends[i]);
      const fv_piece piece = {"new", 3};
      const fv_new_file file[2] = {
          {.path = "interrupted.a", .piece = &piece, .count = 1, .mode = 0644},
          {.path = "interrupted.b", .piece = &piece, .count = 1, .mode = 0644}};
      _exit(fv_files_write(file, 2, &sink) == FV_ERR_IO ? 7 : 1);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 7);
    assert_int_equal(access("interrupted.a", F_OK), -1);
    assert_int_equal(access("interrupted.b", F_OK), -1);
  }
}

// A process that is killed while it writes leaves the whole file or nothing, where a file can be
// without a name.
static void killed_writes_leave_nothing(void **state) {
  (void)state;
  const int probe = open(".", O_TMPFILE | O_WRONLY, 0600);
  if (probe < 0 || access("/proc/self/fd", X_OK) != 0)
    skip();
  close(probe);
  static char big[1 << 20];
  fv_piece pieces[16];
  for (size_t i = 0; i < FV_COUNTOF(pieces); i++)
    pieces[i] = (fv_piece){big, sizeof big};
  for (int after = 0; after < 20; after += 2) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      const fv_new_file file = {
          .path = "f", .piece = pieces, .count = FV_COUNTOF(pieces), .mode = 0644};
      _exit(fv_files_write(&file, 1, &sink) != FV_OK);
    }
    usleep((useconds_t)after * 1000);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    struct stat st;
    const bool there = stat("f", &st) == 0;
    assert_true(!there || st.st_size == (off_t)sizeof big * (off_t)FV_COUNTOF(pieces));
    assert_int_equal(count_entries("."), there);
    unlink("f");
  }
}

static void what_cannot_be_written_is_told(void **state) {
  (void)state;
  assert_message(write_file("none/f", "x"), FV_ERR_IO, "'none/f': No such file");
  assert_int_equal(mkdir("d", 0755), 0);
  assert_message(write_file("d", "x"), FV_ERR_IO, "'d': Is a directory");
  assert_message(write_file("new/", "x"), FV_ERR_IO, "new/");
  assert_message(write_file("", "x"), FV_ERR_IO, "No such file");
  put("f", "old");
  assert_message(write_file("f/g", "x"), FV_ERR_IO, "Not a directory");
  char longer[300];
  memset(longer, 'a', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  assert_message(write_file(longer, "x"), FV_ERR_IO, "File name too long");
  assert_int_equal(count_entries("."), 2);
}

static void unwritable_folders_are_told(void **state) {
  (void)state;
  if (geteuid() == 0)
    skip();
  assert_int_equal(mkdir("d", 0755), 0);
  put("d/f", "old");
  assert_int_equal(chmod("d", 0555), 0);
  assert_message(write_file("d/f", "new"), FV_ERR_IO, "'d/f': Permission denied");
  expect("d/f", "old");
}

static void links_stay_links(void **state) {
  (void)state;
  assert_int_equal(mkdir("d", 0755), 0);
  put("d/f", "old");
  assert_int_equal(symlink("d/f", "link"), 0);
  put("link", "new");
  expect("d/f", "new");
  struct stat st;
  assert_int_equal(lstat("link", &st), 0);
  assert_true(S_ISLNK(st.st_mode));
}

// A name may be as long as the file system lets it; the temporary's is not derived from it.
static void long_names_work(void **state) {
  (void)state;
  char longest[256];
  memset(longest, 'a', 255);
  longest[255] = '\0';
  put(longest, "x");
  expect(longest, "x");
}

static fv_status read_and_map(void *user) {
  fv_arena *own = user;
  char *data;
  const void *mapped;
  size_t size;
  FV_TRY(fv_file_read(own, "f", 1 << 20, NULL, NULL, &data, &size));
  FV_TRY(fv_file_map(own, "f", NULL, NULL, &mapped, &size));
  return fv_file_map_beneath(own, "", "f", NULL, NULL, &mapped, &size);
}

static int lowest_free_descriptor(void) {
  const int fd = open("/dev/null", O_RDONLY);
  close(fd);
  return fd;
}

static void allocation_n_fails(void **state) {
  (void)state;
  // Larger than a block, so that there is more than one allocation to fail.
  static char big[100000];
  memset(big, 'x', sizeof big - 1);
  put("f", big);
  const int fd = lowest_free_descriptor();
  fv_status s = FV_ERR_OOM;
  for (size_t n = 1; s != FV_OK; n++) {
    counting_allocator c = {.fail_at = n};
    const fv_allocator a = counting_of(&c);
    fv_arena *own = fv_arena_create(&a);
    if (own)
      s = fv_arena_protect(own, read_and_map, own, NULL);
    fv_arena_destroy(own);
    assert_true(s == FV_OK || s == FV_ERR_OOM);
    assert_int_equal(c.live_blocks, 0);
    assert_int_equal(lowest_free_descriptor(), fd);
  }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(writes_and_reads),
      TEST(maps),
      TEST(reads_files_that_hide_their_size),
      TEST(what_cannot_be_read_is_told),
      TEST(opens_beneath_a_directory_only),
      TEST(old_kernels_walk),
      TEST(drafts_are_looked_at_and_changed),
      TEST(pages_are_given_back),
      TEST(a_full_disk_is_told),
      TEST(failed_writes_leave_nothing),
      TEST(interrupted_writes_leave_nothing),
      TEST(killed_writes_leave_nothing),
      TEST(all_or_none),
      TEST(what_cannot_be_written_is_told),
      TEST(unwritable_folders_are_told),
      TEST(links_stay_links),
      TEST(long_names_work),
      TEST(allocation_n_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
