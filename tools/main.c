// SPDX-License-Identifier: Apache-2.0
//
// The fovea command: finds the subcommand, reads its options, runs it.
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

static const command *const commands[] = {&command_check, &command_inspect, &command_compile,
                                          &command_run,   &command_compare, &command_list,
                                          &command_fmt};

static const option_row common_rows[] = {
    {"json", 0, OPTION_FLAG, offsetof(common_options, json), NULL, NULL,
     "only JSON on standard output; diagnostics in JSON too"},
    {"diagnostics", 0, OPTION_TEXT, offsetof(common_options, diagnostics), "FORMAT", "text",
     "text, or json: one object a line"},
    {"help", 'h', OPTION_FLAG, offsetof(common_options, help), NULL, NULL, "this page"},
};

typedef struct start {
  fv_arena *arena;
  int argc;
  char **argv;
} start;

static void on_interrupt(int signal) {
  (void)signal;
  _exit(130);
}

//===-- Help --------------------------------------------------------------===//

static void put_overview(fv_str *out) {
  fv_str_puts(out,
              "fovea compiles neural networks to native code.\n\n"
              "USAGE\n  fovea COMMAND [OPTION...] [ARGUMENT...]\n\nCOMMANDS\n");
  for (size_t i = 0; i < FV_COUNTOF(commands); i++)
    fv_str_printf(out, "  %-9s %s\n", commands[i]->name, commands[i]->doc);
  fv_str_puts(out,
              "  help      show the help page of a command\n"
              "  version   show the version\n\n"
              "`fovea help COMMAND` has the options of a command and their defaults.\n\n"
              "EXIT CODES\n"
              "  0  all is well\n"
              "  1  the answer is no: results differ, an assertion failed\n"
              "  2  the command line is wrong\n"
              "  3  the model, its weights or another file is wrong\n"
              "  4  not supported\n"
              "  5  a backend or a run failed\n"
              "130  interrupted\n");
}

static void put_help(const command *c, const option_table *t, fv_str *out) {
  fv_str_printf(out, "fovea %s - %s\n\nUSAGE\n  fovea %s %s\n", c->name, c->doc, c->name, c->usage);
  options_help(t, out);
  if (c->more)
    fv_str_printf(out, "\n%s", c->more);
}

static option_table table_of(const command *c, void *values, common_options *common) {
  return (option_table){.row = {c->option, common_rows},
                        .count = {c->n_option, FV_COUNTOF(common_rows)},
                        .values = {values, common}};
}

//===-- Commands ----------------------------------------------------------===//

static const char *command_name(void *user, int i) {
  static const char *const more[] = {"help", "version"};
  (void)user;
  const int n = (int)FV_COUNTOF(commands);
  if (i < n)
    return commands[i]->name;
  return i - n < (int)FV_COUNTOF(more) ? more[i - n] : NULL;
}

static const command *find_command(const char *name) {
  for (size_t i = 0; i < FV_COUNTOF(commands); i++)
    if (strcmp(commands[i]->name, name) == 0)
      return commands[i];
  return NULL;
}

static fv_status no_command(tool *t, const char *name) {
  const fv_status s = usage_error(t, "there is no command '%s'", name);
  if (!fv_note_meant(t->diag, NULL, name, command_name, NULL))
    fv_note(t->diag, NULL, "`fovea help` lists the commands");
  return s;
}

// JSON is for programs: they want the reasons in JSON too. Looked for before
// the options are read, so that errors in those come out right.
static bool wants_json(int argc, char *const *argv) {
  for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
    if (strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "--diagnostics=json") == 0 ||
        (strcmp(argv[i], "--diagnostics") == 0 && i + 1 < argc && strcmp(argv[i + 1], "json") == 0))
      return true;
  return false;
}

static fv_status run_command(tool *t, const command *c, int argc, char *const *argv) {
  common_options common = {0};
  void *values = fv_arena_alloc(t->arena, c->size);
  const option_table table = table_of(c, values, &common);
  FV_TRY(options_init(t->arena, &table, t->diag));
  FV_TRY(options_parse(t->arena, &table, argc, argv, t->diag, &t->args));
  if (common.help) {
    fv_str s = {.arena = t->arena};
    put_help(c, &table, &s);
    return print_text(t, &s);
  }
  if (strcmp(common.diagnostics, "text") != 0 && strcmp(common.diagnostics, "json") != 0)
    return usage_error(t, "--diagnostics: '%s' is neither text nor json", common.diagnostics);
  if (t->args.count < c->min_args || t->args.count > c->max_args) {
    const fv_status s = usage_error(t, "usage: fovea %s %s", c->name, c->usage);
    fv_note(t->diag, NULL, "`fovea help %s` says more", c->name);
    return s;
  }
  t->common = &common;
  t->options = values;
  return c->run(t);
}

static fv_status run_help(tool *t, int argc, char *const *argv) {
  fv_str s = {.arena = t->arena};
  if (argc == 0) {
    put_overview(&s);
    return print_text(t, &s);
  }
  const command *c = find_command(argv[0]);
  if (!c)
    return no_command(t, argv[0]);
  common_options common = {0};
  const option_table table = table_of(c, NULL, &common);
  put_help(c, &table, &s);
  return print_text(t, &s);
}

static fv_status run_all(void *user) {
  start *a = user;
  tool t = {.arena = a->arena};
  t.diag = report_create(a->arena, wants_json(a->argc, a->argv));
  if (a->argc < 2) {
    fv_str s = {.arena = a->arena};
    put_overview(&s);
    fputs(s.data, stderr);
    return FV_ERR_ARG;
  }
  const char *name = a->argv[1];
  if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
    return run_help(&t, a->argc - 2, a->argv + 2);
  if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
    fv_str s = {.arena = a->arena};
    fv_str_printf(&s, "fovea %s\n", fv_version());
    return print_text(&t, &s);
  }
  const command *c = find_command(name);
  return c ? run_command(&t, c, a->argc - 2, a->argv + 2) : no_command(&t, name);
}

int main(int argc, char **argv) {
  const struct sigaction stop = {.sa_handler = on_interrupt};
  sigaction(SIGINT, &stop, NULL);
  // A limit on file sizes is an error of write() and no reason to die.
  const struct sigaction ignore = {.sa_handler = SIG_IGN};
  sigaction(SIGXFSZ, &ignore, NULL);
  fv_arena *ar = fv_arena_create(NULL);
  if (!ar) {
    fputs("fovea: error: out of memory\n", stderr);
    return fv_status_exit_code(FV_ERR_OOM);
  }
  start a = {ar, argc, argv};
  const char *bug = NULL;
  const fv_status s = fv_arena_protect(ar, run_all, &a, &bug);
  if (s == FV_ERR_INTERNAL && bug)
    fprintf(stderr, "fovea: error: internal error, please report it: %s\n", bug);
  else if (s == FV_ERR_OOM)
    fputs("fovea: error: out of memory\n", stderr);
  fv_arena_destroy(ar);
  return fv_status_exit_code(s);
}
