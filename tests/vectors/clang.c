// What `disasm` is shown of clang's objects: two programs, functions, a callback, maps, all kinds of data.
// clang -O2 -g --target=bpf -mcpu=v4 -c clang.c -o clang.o && llvm-strip -g clang.o    (clang 19)
#define SEC(name) __attribute__((section(name), used))
typedef unsigned int u32;
typedef unsigned long long u64;

static void *(*lookup)(void *, const void *) = (void *)1;
static long (*update)(void *, const void *, const void *, u64) = (void *)2;
static long (*print)(const char *, u32, ...) = (void *)6;
static u64 (*pid_tgid)(void) = (void *)14;
static void *(*reserve)(void *, u64, u64) = (void *)131;
static void (*submit)(void *, u64) = (void *)132;
static long (*for_each)(void *, void *, void *, u64) = (void *)164;

struct {
    int (*type)[1], (*max_entries)[1024], (*map_flags)[1];
    u32 *key;
    u64 *value;
} hits SEC(".maps");
struct {
    int (*type)[27], (*max_entries)[4096];
} ring SEC(".maps");

char _license[] SEC("license") = "Dual MIT/GPL";
const volatile u32 limit = 7;
u64 pad, total;
static u64 factor = 3;

static __attribute__((noinline)) u64 twice(u64 x) { return x * 2 + factor; }
static long each(void *map, u32 *key, u64 *value, void *ctx) { total += *value; return 0; }

SEC("tracepoint/syscalls/sys_enter_openat") int enter(void *ctx)
{
    u32 key = pid_tgid() >> 32;
    u64 one = 1, *value = lookup(&hits, &key);
    if (value) __sync_fetch_and_add(value, twice(pad));
    else update(&hits, &key, &one, 0);
    if (key > limit) factor += total;
    static const char text[] = "pid %d";
    print(text, sizeof text, key);
    for_each(&hits, each, 0, 0);
    return 0;
}

SEC("raw_tp/sys_exit") int leave(void *ctx)
{
    u64 *record = reserve(&ring, 8, 0);
    if (!record) return 0;
    *record = twice(total);
    submit(record, 0);
    return 0;
}
