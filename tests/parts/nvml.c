/* libnvidia-ml.so.1 of a machine without a card: one card, whose processes stand in the file that NVML_SCRIPT names,
 * a line each: "pid bytes percent". The calls and structures are those of NVIDIA's nvml.h (API of driver 535) that
 * exporter/gpu/nvml.py uses; what is missing here, pynvml reports as FUNCTION_NOT_FOUND. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { SUCCESS = 0, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, PROCESSES_MAX = 64 };

typedef struct { unsigned pid; unsigned long long bytes; unsigned gpu_instance, compute_instance; } process_t;
typedef struct { unsigned pid; unsigned long long at_us; unsigned sm, memory, encoder, decoder; } sample_t;
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci_t;
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned gpu, memory; } rates_t;

static const unsigned long long MIB = 1ull << 20;
static int card;

static unsigned running(process_t *processes, unsigned *percent) {
    const char *path = getenv("NVML_SCRIPT");
    FILE *script = path ? fopen(path, "r") : NULL;
    unsigned count = 0;
    while (script && count < PROCESSES_MAX &&
           fscanf(script, "%u %llu %u", &processes[count].pid, &processes[count].bytes, &percent[count]) == 3) {
        processes[count].gpu_instance = processes[count].compute_instance = 0xffffffffu;
        count++;
    }
    if (script) fclose(script);
    return count;
}

static int text(char *to, unsigned length, const char *what) {
    snprintf(to, length, "%s", what);
    return SUCCESS;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { return code == SUCCESS ? "Success" : "Scripted"; }
int nvmlSystemGetDriverVersion(char *to, unsigned length) { return text(to, length, "535.161.08"); }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { *handle = &card; return index ? NOT_FOUND : SUCCESS; }
int nvmlDeviceGetName(void *c, char *to, unsigned length) { (void)c; return text(to, length, "Tesla T4"); }
int nvmlDeviceGetUUID(void *c, char *to, unsigned length) {
    (void)c;
    return text(to, length, "GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52");
}
int nvmlDeviceGetMinorNumber(void *c, unsigned *number) { (void)c; *number = 0; return SUCCESS; }
int nvmlDeviceGetPciInfo_v3(void *c, pci_t *pci) {
    (void)c;
    memset(pci, 0, sizeof *pci);
    pci->device = 8;
    return text(pci->bus_id, sizeof pci->bus_id, "00000000:00:08.0");
}
int nvmlDeviceGetMemoryInfo(void *c, memory_t *memory) {
    process_t processes[PROCESSES_MAX];
    unsigned percent[PROCESSES_MAX], count = running(processes, percent);
    (void)c;
    memory->total = 15360 * MIB;
    memory->used = 457 * MIB;
    for (unsigned i = 0; i < count; i++) memory->used += processes[i].bytes;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}
int nvmlDeviceGetUtilizationRates(void *c, rates_t *rates) {
    process_t processes[PROCESSES_MAX];
    unsigned percent[PROCESSES_MAX], count = running(processes, percent), sum = 0;
    (void)c;
    for (unsigned i = 0; i < count; i++) sum += percent[i];
    rates->gpu = sum > 100 ? 100 : sum;
    rates->memory = rates->gpu / 2;
    return SUCCESS;
}
int nvmlDeviceGetTemperature(void *c, int sensor, unsigned *celsius) { (void)c, (void)sensor; *celsius = 61; return 0; }
int nvmlDeviceGetPowerUsage(void *c, unsigned *milliwatts) { (void)c; *milliwatts = 48200; return SUCCESS; }
int nvmlDeviceGetTotalEnergyConsumption(void *c, unsigned long long *millijoules) {
    struct timeval now;
    (void)c;
    gettimeofday(&now, NULL);
    *millijoules = (unsigned long long)now.tv_sec * 48200;
    return SUCCESS;
}
int nvmlDeviceGetMigMode(void *c, unsigned *current, unsigned *pending) { (void)c; *current = *pending = 0; return 0; }

int nvmlDeviceGetComputeRunningProcesses_v3(void *c, unsigned *count, process_t *to) {
    process_t processes[PROCESSES_MAX];
    unsigned percent[PROCESSES_MAX], found = running(processes, percent), room = *count;
    (void)c;
    *count = found;
    if (found == 0) return SUCCESS;
    if (to == NULL || room < found) return INSUFFICIENT_SIZE;
    memcpy(to, processes, found * sizeof *to);
    return SUCCESS;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *c, unsigned *count, process_t *to) {
    (void)c, (void)to;
    *count = 0;
    return SUCCESS;
}
int nvmlDeviceGetProcessUtilization(void *c, sample_t *to, unsigned *count, unsigned long long since_us) {
    process_t processes[PROCESSES_MAX];
    unsigned percent[PROCESSES_MAX], found = running(processes, percent), room = *count;
    struct timeval now;
    (void)c;
    gettimeofday(&now, NULL);
    unsigned long long now_us = (unsigned long long)now.tv_sec * 1000000 + now.tv_usec;
    *count = found;
    if (found == 0 || now_us <= since_us) return NOT_FOUND;
    if (to == NULL || room < found) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < found; i++) to[i] = (sample_t){processes[i].pid, now_us, percent[i], percent[i] / 2, 0, 0};
    return SUCCESS;
}
