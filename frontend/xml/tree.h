// SPDX-License-Identifier: Apache-2.0
// frontend/xml/tree.h - an XML file as a tree of elements with exact places.
//
// Two readers run over the same bytes: a scanner of our own that bounds the
// input and notes where each tag, attribute and value begins, and libxml2's
// SAX parser, which says what they mean. Element k of the one is tag k of the
// other. Everything lives in one arena.
#ifndef FOVEA_FRONTEND_XML_TREE_H_
#define FOVEA_FRONTEND_XML_TREE_H_

#include "frontend/frontend.h"

#define FV_XML_NAMESPACE "urn:fovea:model:1"

typedef struct fv_xml_attr {
  const char *name;
  const char *value;  // as XML sees it: references replaced, line ends as spaces
  uint32_t name_at;   // offsets into the file
  uint32_t value_at;  // of the first byte between the quotes
} fv_xml_attr;

typedef struct fv_xml_elem fv_xml_elem;
struct fv_xml_elem {
  const char *name;  // without prefix
  bool foreign;      // not in our namespace
  bool bad;          // a fault was reported here: say nothing more about it
  uint32_t at, end;  // offset of '<', and after the '>' of the start tag
  int n_attr;
  fv_xml_attr *attr;  // in the order of the file; without namespace declarations
  fv_xml_elem *parent, *child, *last_child, *next;
  const char *text;  // text before the first child, from `end` on; "" if none
  size_t text_size;
  uint32_t stray_at;  // offset of text between children, 0 = none
};

typedef struct fv_xml_file {
  const char *path;
  const char *bytes;  // NUL-terminated
  size_t size;
  const uint32_t *line;  // offset of each line
  uint32_t n_line;
  fv_xml_elem *root;
} fv_xml_file;

// Reads and parses the file; faults go to diag.
FV_NODISCARD fv_status fv_xml_read(fv_arena *ar, const char *path, const fv_load_limits *limits,
                                   fv_diag_sink *diag, fv_xml_file **out);
// The same from memory, which must stay as long as the arena.
FV_NODISCARD fv_status fv_xml_parse(fv_arena *ar, const char *path, const char *bytes, size_t size,
                                    const fv_load_limits *limits, fv_diag_sink *diag,
                                    fv_xml_file **out);

// Fills in the lines of f.
void fv_xml_find_lines(fv_arena *ar, fv_xml_file *f);
// The place of a byte of the file.
fv_span fv_xml_place(const fv_xml_file *f, size_t offset);
// Offset in the file of byte `index` of an attribute's value, of an element's text.
size_t fv_xml_value_offset(const fv_xml_file *f, const fv_xml_attr *a, size_t index);
size_t fv_xml_text_offset(const fv_xml_file *f, const fv_xml_elem *e, size_t index);
const fv_xml_attr *fv_xml_find_attr(const fv_xml_elem *e, const char *name);  // or NULL

//===-- The scanner -----------------------------------------------------===//

// Limits with the defaults filled in.
fv_load_limits fv_xml_limits(const fv_load_limits *given);

typedef struct fv_xml_tag {  // a start tag
  uint32_t at, end;          // of '<', and after '>'
  uint32_t first_attr, n_attr;
} fv_xml_tag;
typedef struct fv_xml_mark {  // an attribute: [name, name + name_len) = value
  uint32_t name, name_len, value;
} fv_xml_mark;

typedef struct fv_xml_scan {
  fv_xml_tag *tag;
  size_t n_tag, cap_tag;
  fv_xml_mark *mark;
  size_t n_mark, cap_mark;
} fv_xml_scan;

// Bounds what the parser will see (UTF-8 without NUL, no DOCTYPE, depth, count
// and length of tags) and finds the tags. Says nothing about well-formedness
// beyond that.
FV_NODISCARD fv_status fv_xml_prescan(fv_arena *ar, const fv_xml_file *f,
                                      const fv_load_limits *limits, fv_diag_sink *diag,
                                      fv_xml_scan *out);

#endif  // FOVEA_FRONTEND_XML_TREE_H_
