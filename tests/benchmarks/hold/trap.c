/* Answer the CPUID instructions that cpuid.py replaced by a trap as a processor with AVX2 alone would: loaded by LD_PRELOAD.
 *
 * The real instruction is executed, and what is beyond AVX2, FMA, F16C and BMI is taken away: AVX-512, AVX-VNNI, AMX, AVX10. The bits
 * that are left are those of AMD's Zen 3. Any other invalid instruction ends the process as if this library were not there. */

#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>

enum { TRAP_0 = 0x06, TRAP_1 = 0xa2, LENGTH = 2 };

/* The leaves of CPUID, by Intel's and AMD's manuals. Leaf 0 has the number of the last leaf; Zen 3 has none after this one. */
enum { VENDOR = 0, FEATURES = 7, LAST = 0x10, HYPERVISOR = 0x40000000 };

#define BIT(n) (1u << (n))

/* FSGSBASE, BMI1, AVX2, SMEP, BMI2, ERMS, INVPCID, RDT-M, RDT-A, RDSEED, ADX, SMAP, CLFLUSHOPT, CLWB, SHA */
static const unsigned KEPT_B = BIT(0) | BIT(3) | BIT(5) | BIT(7) | BIT(8) | BIT(9) | BIT(10) | BIT(12) | BIT(15) | BIT(18) | BIT(19) |
                               BIT(20) | BIT(23) | BIT(24) | BIT(29);
/* UMIP, PKU, OSPKE, VAES, VPCLMULQDQ, RDPID */
static const unsigned KEPT_C = BIT(2) | BIT(3) | BIT(4) | BIT(9) | BIT(10) | BIT(22);
/* FSRM */
static const unsigned KEPT_D = BIT(4);

static void answer(greg_t *registers) {
    const unsigned leaf = (unsigned)registers[REG_RAX], subleaf = (unsigned)registers[REG_RCX];
    unsigned a, b, c, d;
    __cpuid_count(leaf, subleaf, a, b, c, d);
    if (leaf == VENDOR && a > LAST) a = LAST;
    if (leaf > LAST && leaf < HYPERVISOR) a = b = c = d = 0;
    if (leaf == FEATURES) {
        const unsigned first = subleaf == 0 ? ~0u : 0; /* Zen 3 has no further subleaf, and `a` is the number of the last */
        a = 0;
        b &= KEPT_B & first;
        c &= KEPT_C & first;
        d &= KEPT_D & first;
    }
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
}

static void trapped(int signal, siginfo_t *what, void *context) {
    (void)what;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *instruction = (const unsigned char *)registers[REG_RIP]; // NOLINT
    if (instruction[0] != TRAP_0 || instruction[1] != TRAP_1) {
        (void)sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL); /* executed once more, it ends the process */
        return;
    }
    answer(registers);
    registers[REG_RIP] += LENGTH;
}

__attribute__((constructor)) static void install(void) {
    if (sigaction(SIGILL, &(struct sigaction){.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_NODEFER}, NULL)) abort();
}
