// SPDX-License-Identifier: Apache-2.0
//
// The table of commands: what `fovea help`, the man page and the README list,
// and what runs.
#include "commands.h"

#include <stddef.h>
#include <string.h>

static const command *const commands[] = {&command_check, &command_inspect, &command_compile,
                                          &command_run,   &command_compare, &command_list,
                                          &command_fmt,   &command_help,    &command_version};

static const option_row common_rows[] = {
    {"json", 0, OPTION_FLAG, offsetof(common_options, json), NULL, NULL,
     "only JSON on standard output; diagnostics in JSON too"},
    {"diagnostics", 0, OPTION_TEXT, offsetof(common_options, diagnostics), "FORMAT", "text",
     "text, or json: one object a line"},
    {"help", 'h', OPTION_FLAG, offsetof(common_options, help), NULL, NULL, "this page"},
};

//===-- Finding -----------------------------------------------------------===//

// What is said in place of a command, as everywhere.
static const struct {
  const char *option, *command;
} options_that_are_commands[] = {
    {"--help", "help"}, {"-h", "help"}, {"--version", "version"}, {"-V", "version"}};

static const char *command_name(void *user, int i) {
  (void)user;
  return i < (int)FV_COUNTOF(commands) ? commands[i]->name : NULL;
}

fv_status command_find(tool *t, const char *name, const command **out) {
  for (size_t i = 0; i < FV_COUNTOF(options_that_are_commands); i++)
    if (strcmp(options_that_are_commands[i].option, name) == 0)
      name = options_that_are_commands[i].command;
  for (size_t i = 0; i < FV_COUNTOF(commands); i++)
    if (strcmp(commands[i]->name, name) == 0) {
      *out = commands[i];
      return FV_OK;
    }
  const fv_status s = usage_error(t, "there is no command '%s'", name);
  if (!fv_note_meant(t->diag, NULL, name, command_name, NULL))
    fv_note(t->diag, NULL, "`fovea help` lists the commands");
  return s;
}

//===-- Help --------------------------------------------------------------===//

void put_overview(fv_str *out) {
  fv_str_puts(out,
              "fovea compiles neural networks to native code.\n\n"
              "USAGE\n  fovea COMMAND [OPTION...] [ARGUMENT...]\n\nCOMMANDS\n");
  for (size_t i = 0; i < FV_COUNTOF(commands); i++)
    fv_str_printf(out, "  %-9s %s\n", commands[i]->name, commands[i]->doc);
  fv_str_puts(out,
              "\n`fovea help COMMAND` has the options of a command and their defaults.\n\n"
              "EXIT CODES\n"
              "  0  all is well\n"
              "  1  the answer is no: results differ, an assertion failed\n"
              "  2  the command line is wrong\n"
              "  3  the model, its weights or another file is wrong\n"
              "  4  not supported\n"
              "  5  a backend or a run failed\n"
              "130  interrupted\n");
}

static option_table table_of(const command *c, void *values, common_options *common) {
  return (option_table){.row = {c->option, common_rows},
                        .count = {c->n_option, FV_COUNTOF(common_rows)},
                        .values = {values, common}};
}

void put_help(const command *c, fv_str *out) {
  const option_table t = table_of(c, NULL, NULL);
  fv_str_printf(out, "fovea %s - %s\n\nUSAGE\n  fovea %s%s%s\n", c->name, c->doc, c->name,
                c->usage[0] ? " " : "", c->usage);
  options_help(&t, out);
  if (c->more)
    fv_str_printf(out, "\n%s", c->more);
}

static void put_json_member(fv_str *out, const char *before, const char *key, const char *value) {
  fv_str_printf(out, "%s\"%s\": ", before, key);
  if (value)
    fv_str_json(out, value, strlen(value));
  else
    fv_str_puts(out, "null");
}

static void put_json_command(const command *c, fv_str *out) {
  put_json_member(out, "{", "name", c->name);
  put_json_member(out, ", ", "usage", c->usage);
  put_json_member(out, ", ", "doc", c->doc);
}

void put_json_overview(fv_str *out) {
  for (size_t i = 0; i < FV_COUNTOF(commands); i++) {
    fv_str_puts(out, i ? ",\n  " : "[\n  ");
    put_json_command(commands[i], out);
    fv_str_puts(out, "}");
  }
  fv_str_puts(out, "\n]\n");
}

void put_json_help(const command *c, fv_str *out) {
  const option_table t = table_of(c, NULL, NULL);
  put_json_command(c, out);
  fv_str_puts(out, ", \"options\": [");
  const char *before = "\n  {";
  for (int part = 0; part < 2; part++)
    for (size_t i = 0; i < t.count[part]; i++) {
      const option_row *o = &t.row[part][i];
      const char letter[2] = {o->letter};
      put_json_member(out, before, "name", o->name);
      put_json_member(out, ", ", "letter", o->letter ? letter : NULL);
      put_json_member(out, ", ", "argument", o->arg);
      put_json_member(out, ", ", "default", o->initial);
      put_json_member(out, ", ", "doc", o->help);
      fv_str_puts(out, "}");
      before = ",\n  {";
    }
  fv_str_puts(out, "\n]}\n");
}

//===-- Running -----------------------------------------------------------===//

fv_status command_execute(tool *t, const command *c, int argc, char *const *argv) {
  common_options *common = FV_NEW(t->arena, common_options);
  void *values = fv_arena_alloc(t->arena, c->size);
  const option_table table = table_of(c, values, common);
  FV_TRY(options_init(t->arena, &table, t->diag));
  FV_TRY(options_parse(t->arena, &table, argc, argv, t->diag, &t->args));
  if (common->help) {
    fv_str s = {.arena = t->arena};
    (common->json ? put_json_help : put_help)(c, &s);
    return print_text(t, &s);
  }
  if (strcmp(common->diagnostics, "text") != 0 && strcmp(common->diagnostics, "json") != 0)
    return usage_error(t, "--diagnostics: '%s' is neither text nor json", common->diagnostics);
  if (t->args.count < c->min_args || t->args.count > c->max_args) {
    const fv_status s =
        usage_error(t, "usage: fovea %s%s%s", c->name, c->usage[0] ? " " : "", c->usage);
    fv_note(t->diag, NULL, "`fovea help %s` says more", c->name);
    return s;
  }
  t->common = common;
  t->options = values;
  return c->run(t);
}
