/* A plugin of qemu's user emulation: how many instructions each function ran whose name contains the text
 * after `name=`. Lines `function count` go to qemu's log. The interface is declared here, after QEMU's TCG
 * plugin documentation (version 1), because Debian ships no header of it. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { ADD_64 = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
                                           void (*translated)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_atexit_cb(plugin_id id, void (*ended)(plugin_id, void *), void *user);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int operation, void *counter,
                                                uint64_t by);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *insn);
void qemu_plugin_outs(const char *text);

EXPORTED int qemu_plugin_version = 1;

enum { MOST = 256, LONGEST = 200 };
static char names[MOST][LONGEST];
static uint64_t counts[MOST];
static size_t known;
static char wanted[LONGEST] = "";

static uint64_t *counter_of(const char *symbol) {
  for (size_t i = 0; i < known; ++i)
    if (strncmp(names[i], symbol, LONGEST - 1) == 0) return &counts[i];
  if (known == MOST) return NULL;
  snprintf(names[known], LONGEST, "%s", symbol);
  return &counts[known++];
}

static void translated(plugin_id id, struct qemu_plugin_tb *block) {
  const size_t n = qemu_plugin_tb_n_insns(block);
  (void)id;
  for (size_t i = 0; i < n; ++i) {
    struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
    const char *symbol = qemu_plugin_insn_symbol(insn);
    uint64_t *counter = symbol && strstr(symbol, wanted) ? counter_of(symbol) : NULL;
    if (counter) qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_64, counter, 1);
  }
}

static void ended(plugin_id id, void *user) {
  (void)id, (void)user;
  for (size_t i = 0; i < known; ++i) {
    char line[LONGEST + 32];
    snprintf(line, sizeof(line), "%.*s %" PRIu64 "\n", LONGEST - 1, names[i], counts[i]);
    qemu_plugin_outs(line);
  }
}

EXPORTED int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
  (void)info;
  for (int i = 0; i < argc; ++i)
    if (strncmp(argv[i], "name=", 5) == 0) snprintf(wanted, sizeof(wanted), "%s", argv[i] + 5);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, ended, NULL);
  return 0;
}
