//! All builtins and functions of the language in one table: what they take, yield and need.

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// An integer, pointer, boolean, enum, or aggregation that reads as a number.
    Int,
    /// An integer known at compile time.
    ConstInt,
    /// A string, or bytes that can stand for one.
    Str,
    /// A string literal or parameter.
    ConstStr,
    /// A pointer, or a number that stands for one.
    Ptr,
    /// A map without key.
    Map,
    /// A bare word; the checker knows which.
    Word,
    /// A type, or an expression for its type.
    Type,
    /// Anything that has a value.
    Any,
}

/// What a call yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the types")]
pub enum Yield {
    Void,
    Bool,
    U8,
    U32,
    U64,
    I32,
    I64,
    /// `string[16]`.
    Comm,
    /// The checker works it out from the arguments.
    Special,
}

/// In which probes it has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// All.
    Anywhere,
    /// `uprobe` and `usdt`: at the start of something with arguments.
    Arguments,
    /// `uretprobe`.
    Return,
    /// Probes with user registers: `uprobe`, `uretprobe`, `usdt`, `profile`, `software`, `watchpoint`.
    Registers,
    /// `uprobe`, `uretprobe`, `usdt`.
    User,
    /// Probes at a function, of a program or of the kernel.
    Function,
    /// `iter`.
    Iterator,
    /// Probes that are handed objects of the kernel: `fentry`, `fexit`, `iter`.
    Objects,
    /// Probes that run in a traced process.
    Process,
}

/// A builtin or function.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name; the tag that lowering gets as `Res::Builtin`.
    pub name: &'static str,
    /// How it is written.
    pub signature: &'static str,
    /// One line on what it does.
    pub doc: &'static str,
    /// The arguments; the last one repeats if `max` says more.
    pub args: &'static [Want],
    /// Fewest arguments.
    pub min: usize,
    /// Most arguments.
    pub max: usize,
    /// What it yields.
    pub yields: Yield,
    /// Where it may stand.
    pub place: Where,
    /// Needs `--unsafe`.
    pub needs_unsafe: bool,
    /// Happens later, in user space.
    pub is_async: bool,
    /// Adds to what the probe's hit prints.
    pub prints: bool,
    /// Can only be assigned to a map.
    pub aggregation: bool,
    /// Not supported, and why.
    pub refused: Option<&'static str>,
}

const ANY_NUMBER: usize = 1000;

const fn f(
    name: &'static str,
    signature: &'static str,
    args: &'static [Want],
    min: usize,
    yields: Yield,
    doc: &'static str,
) -> Row {
    Row {
        name,
        signature,
        doc,
        args,
        min,
        max: args.len(),
        yields,
        place: Where::Anywhere,
        needs_unsafe: false,
        is_async: false,
        prints: false,
        aggregation: false,
        refused: None,
    }
}

impl Row {
    const fn many(mut self) -> Row {
        self.max = ANY_NUMBER;
        self
    }
    const fn only(mut self, place: Where) -> Row {
        self.place = place;
        self
    }
    const fn guarded(mut self) -> Row {
        self.needs_unsafe = true;
        self
    }
    const fn later(mut self) -> Row {
        self.is_async = true;
        self
    }
    /// Happens later, as a part of what the hit prints.
    const fn printed(mut self) -> Row {
        self.is_async = true;
        self.prints = true;
        self
    }
    const fn agg(mut self) -> Row {
        self.aggregation = true;
        self
    }
    const fn no(mut self, why: &'static str) -> Row {
        self.refused = Some(why);
        self
    }

    /// Whether it can stand without parentheses.
    pub fn is_word(&self) -> bool {
        self.min == 0 && !self.aggregation
    }
}

const KERNEL: &str = "programs of this kind cannot call what it needs";

use Want::{Any, ConstInt, ConstStr, Int, Map, Ptr, Str, Type, Word};
use Where::{Arguments, Function, Iterator, Objects, Process, Registers, Return, User};
use Yield::{Bool, Comm, I32, I64, Special, U8, U32, U64, Void};

/// The table, by name.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    f(
        "args",
        "args",
        &[],
        0,
        Special,
        "struct of all arguments of the traced function",
    )
    .only(Arguments)
    .no("names of arguments come from debug information, which the function does not have here; use `arg0`, `arg1`, …"),
    f(
        "assert",
        "void assert(bool condition, string message)",
        &[Int, ConstStr],
        2,
        Void,
        "exits with an error if the condition is not met",
    )
    .later(),
    f(
        "assert_str",
        "void assert_str(value)",
        &[Any],
        1,
        Void,
        "refuses to compile unless the value is a string",
    ),
    f(
        "avg",
        "avg_t avg(int64 n)",
        &[Int],
        1,
        Special,
        "running average",
    )
    .agg(),
    f(
        "bswap",
        "uintN bswap(uintN n)",
        &[Int],
        1,
        Special,
        "reverses the bytes of an integer",
    ),
    f(
        "btc",
        "string btc(int64 satoshis)",
        &[Int],
        1,
        Special,
        "an amount in bitcoins",
    ),
    f(
        "buf",
        "buffer buf(void *data, [int64 length])",
        &[Any, Int],
        1,
        Special,
        "reads raw bytes",
    ),
    f(
        "cat",
        "void cat(string namefmt, [...args])",
        &[ConstStr, Any],
        1,
        Void,
        "prints a file",
    )
    .many()
    .printed(),
    f(
        "cgroup",
        "uint64 cgroup",
        &[],
        0,
        U64,
        "cgroup v2 id of the current process",
    ),
    f(
        "cgroup_path",
        "cgroup_path_t cgroup_path(int cgroupid, [string filter])",
        &[Int, ConstStr],
        1,
        Special,
        "path of a cgroup id, looked up when printed",
    ),
    f(
        "cgroupid",
        "uint64 cgroupid(const string path)",
        &[ConstStr],
        1,
        U64,
        "cgroup v2 id of a path",
    ),
    f(
        "clear",
        "void clear(map m)",
        &[Map],
        1,
        Void,
        "removes all keys of a map",
    )
    .printed(),
    f(
        "comm",
        "string comm",
        &[Int],
        0,
        Comm,
        "name of the current thread",
    ),
    f(
        "comptime",
        "T comptime expression",
        &[Any],
        1,
        Special,
        "a value that must be known at compile time",
    ),
    f(
        "config",
        "Record config",
        &[],
        0,
        Special,
        "the settings in force",
    ),
    f(
        "container_of",
        "Container *container_of(Member *ptr, Type type, Identifier member)",
        &[Ptr, Type, Word],
        3,
        Special,
        "the object around a member",
    ),
    f("count", "count_t count()", &[], 0, Special, "counts calls").agg(),
    f(
        "cpid",
        "uint32 cpid",
        &[],
        0,
        U32,
        "process id of the `-c` command",
    ),
    f(
        "cpu",
        "uint32 cpu",
        &[],
        0,
        U32,
        "the processor this runs on",
    ),
    f("ctx", "ctx", &[], 0, Special, "what an iterator is at").only(Iterator),
    f(
        "curtask",
        "struct task_struct *curtask",
        &[],
        0,
        Special,
        "address of the current `task_struct`",
    ),
    f(
        "date",
        "timestamp date(int64 seconds)",
        &[Int],
        1,
        Special,
        "date and time of the seconds since 1970",
    ),
    f(
        "default_str_length",
        "uint64 default_str_length",
        &[],
        0,
        U64,
        "`max_strlen`",
    ),
    f(
        "delete",
        "bool delete(map m, mapkey k)",
        &[Any, Any],
        1,
        Bool,
        "removes one key of a map",
    ),
    f(
        "dw_ustack",
        "ustack_t dw_ustack([mode,] [limit])",
        &[Any, Any],
        0,
        Special,
        "user stack of programs without frame pointers, by their `.eh_frame`",
    )
    .only(Registers),
    f(
        "elapsed",
        "uint64 elapsed",
        &[],
        0,
        U64,
        "nanoseconds since the start",
    ),
    f(
        "errorf",
        "void errorf(const string fmt, args...)",
        &[ConstStr, Any],
        1,
        Void,
        "prints an error with its place in the script",
    )
    .many()
    .printed(),
    f(
        "exit",
        "void exit([int code])",
        &[Int],
        0,
        Void,
        "ends the run",
    )
    .later(),
    f(
        "fail",
        "void fail(const string fmt, args...)",
        &[ConstStr, Any],
        1,
        Void,
        "refuses to compile where it is reached",
    )
    .many(),
    f(
        "find",
        "bool find(map m, mapkey k, $result)",
        &[Map, Any, Any],
        3,
        Bool,
        "looks a key up and keeps its value",
    ),
    f(
        "func",
        "usym_t func",
        &[],
        0,
        Special,
        "the traced function",
    )
    .only(Function),
    f(
        "getopt",
        "T getopt(string name, [T default], [string description])",
        &[ConstStr, Any, ConstStr],
        1,
        Special,
        "a named parameter of the command line",
    ),
    f(
        "gid",
        "uint64 gid",
        &[],
        0,
        U64,
        "group id of the current thread",
    ),
    f(
        "has_cpid",
        "bool has_cpid",
        &[],
        0,
        Bool,
        "whether there is a `-c` command",
    ),
    f(
        "has_key",
        "bool has_key(map m, mapkey k)",
        &[Map, Any],
        2,
        Bool,
        "whether a map has a key",
    ),
    f(
        "hash256",
        "hash256_t hash256(char[32] hash)",
        &[Ptr],
        1,
        Special,
        "a hash of blocks or transactions, the last byte first",
    )
    .only(Process),
    f(
        "hist",
        "hist_t hist(int64 n, [int k])",
        &[Int, ConstInt],
        1,
        Special,
        "histogram of powers of two",
    )
    .agg(),
    f(
        "is_array",
        "bool is_array(any)",
        &[Any],
        1,
        Bool,
        "whether it is an array",
    ),
    f(
        "is_err",
        "bool is_err(void *ptr)",
        &[Ptr],
        1,
        Bool,
        "whether a pointer holds a kernel error",
    ),
    f(
        "is_integer",
        "bool is_integer(any)",
        &[Any],
        1,
        Bool,
        "whether it is an integer",
    ),
    f(
        "is_literal",
        "bool is_literal(any)",
        &[Any],
        1,
        Bool,
        "whether it is a literal",
    ),
    f(
        "is_ptr",
        "bool is_ptr(any)",
        &[Any],
        1,
        Bool,
        "whether it is a pointer",
    ),
    f(
        "is_str",
        "bool is_str(any)",
        &[Any],
        1,
        Bool,
        "whether it is a string",
    ),
    f(
        "is_unsigned_integer",
        "bool is_unsigned_integer(any)",
        &[Any],
        1,
        Bool,
        "whether it is an unsigned integer",
    ),
    f(
        "jiffies",
        "uint64 jiffies",
        &[],
        0,
        U64,
        "the kernel's jiffies",
    ),
    f(
        "join",
        "void join(char *arr[], [char *sep])",
        &[Ptr, ConstStr],
        1,
        Void,
        "prints an array of strings",
    )
    .printed(),
    f(
        "kaddr",
        "uint64 kaddr(const string name)",
        &[ConstStr],
        1,
        U64,
        "address of a kernel symbol",
    ),
    f(
        "kfunc_allowed",
        "bool kfunc_allowed(const string kfunc)",
        &[ConstStr],
        1,
        Bool,
        "whether a kfunc may be called",
    )
    .no("which program types may call a kfunc is written nowhere that programs can read"),
    f(
        "kfunc_exist",
        "bool kfunc_exist(const string kfunc)",
        &[ConstStr],
        1,
        Bool,
        "whether a kfunc is there",
    ),
    f(
        "kptr",
        "T *kptr(T *ptr)",
        &[Ptr],
        1,
        Special,
        "the pointer, as one into the kernel",
    ),
    f(
        "kstack",
        "kstack_t kstack([mode,] [limit])",
        &[Any, Any],
        0,
        Special,
        "kernel stack",
    ),
    f(
        "ksym",
        "ksym_t ksym(uint64 addr)",
        &[Int],
        1,
        Special,
        "kernel function of an address",
    ),
    f(
        "leader_comm",
        "string leader_comm",
        &[Ptr],
        0,
        Comm,
        "name of the thread group's leader",
    ),
    f(
        "leader_tid",
        "uint32 leader_tid",
        &[Ptr],
        0,
        U32,
        "thread id of the thread group's leader",
    ),
    f(
        "len",
        "int64 len(map or stack)",
        &[Any],
        1,
        I64,
        "number of elements",
    ),
    f(
        "lhist",
        "lhist_t lhist(int64 n, int64 min, int64 max, int64 step)",
        &[Int, ConstInt, ConstInt, ConstInt],
        4,
        Special,
        "linear histogram",
    )
    .agg(),
    f(
        "macaddr",
        "macaddr_t macaddr(char[6] mac)",
        &[Any],
        1,
        Special,
        "a hardware address",
    ),
    f(
        "max",
        "max_t max(int64 n)",
        &[Int],
        1,
        Special,
        "the largest value",
    )
    .agg(),
    f(
        "memcmp",
        "int memcmp(left, right, uint64 count)",
        &[Any, Any, ConstInt],
        3,
        I32,
        "compares bytes",
    ),
    f(
        "min",
        "min_t min(int64 n)",
        &[Int],
        1,
        Special,
        "the smallest value",
    )
    .agg(),
    f("ncpus", "uint64 ncpus", &[], 0, U64, "number of processors"),
    f(
        "nsecs",
        "uint64 nsecs([clock])",
        &[Word],
        0,
        U64,
        "the time in nanoseconds",
    ),
    f(
        "ntop",
        "inet ntop([int64 af,] addr)",
        &[Any, Any],
        1,
        Special,
        "an IP address as text",
    ),
    f(
        "numaid",
        "uint32 numaid",
        &[],
        0,
        U32,
        "the NUMA node this runs on",
    ),
    f(
        "offsetof",
        "uint64 offsetof(TYPE, FIELD)",
        &[Type, Any],
        2,
        U64,
        "offset of a member",
    ),
    f(
        "override",
        "void override(uint64 rc)",
        &[Int],
        1,
        Void,
        "makes the traced function return at once",
    )
    .guarded()
    .no(KERNEL),
    f(
        "path",
        "char *path(struct path *path, [int32 size])",
        &[Ptr, ConstInt],
        1,
        Special,
        "path of a kernel `struct path`",
    )
    .only(Objects),
    f(
        "pcomm",
        "string pcomm",
        &[Ptr],
        0,
        Comm,
        "name of the parent process",
    ),
    f(
        "percpu_kaddr",
        "uint64 *percpu_kaddr(const string name, [int cpu])",
        &[ConstStr, Int],
        1,
        Special,
        "address of a per-CPU kernel symbol",
    )
    .no(KERNEL),
    f(
        "pid",
        "uint32 pid([curr_ns|init])",
        &[Word],
        0,
        U32,
        "process id",
    ),
    f(
        "ppid",
        "uint32 ppid",
        &[Ptr],
        0,
        U32,
        "process id of the parent",
    ),
    f(
        "print",
        "void print(value or @map, [top], [div])",
        &[Any, ConstInt, ConstInt],
        1,
        Void,
        "prints a value or a map",
    )
    .printed(),
    f(
        "printf",
        "void printf(const string fmt, args...)",
        &[ConstStr, Any],
        1,
        Void,
        "prints with a format",
    )
    .many()
    .printed(),
    f(
        "probe",
        "string probe",
        &[],
        0,
        Special,
        "full name of the probe",
    ),
    f(
        "probetype",
        "string probetype",
        &[],
        0,
        Special,
        "type of the probe",
    ),
    f(
        "pton",
        "char addr[] pton(const string addr)",
        &[ConstStr],
        1,
        Special,
        "bytes of an IP address",
    ),
    f("rand", "uint32 rand", &[], 0, U32, "a random number"),
    f(
        "reg",
        "uint64 reg(const string name)",
        &[ConstStr],
        1,
        U64,
        "a register",
    )
    .only(Registers),
    f(
        "retval",
        "uint64 retval",
        &[],
        0,
        U64,
        "what the function returns",
    )
    .only(Return),
    f(
        "signal",
        "void signal(sig)",
        &[Any],
        1,
        Void,
        "sends a signal to the process",
    )
    .guarded()
    .only(Process),
    f(
        "signal_name",
        "string signal_name(int sig)",
        &[Int],
        1,
        Special,
        "name of a signal",
    ),
    f(
        "signal_thread",
        "void signal_thread(sig)",
        &[Any],
        1,
        Void,
        "sends a signal to the thread",
    )
    .guarded()
    .only(Process),
    f(
        "sizeof",
        "uint64 sizeof(TYPE or expression)",
        &[Type],
        1,
        U64,
        "size in bytes",
    ),
    f(
        "skboutput",
        "uint32 skboutput(path, skb, length, offset)",
        &[ConstStr, Ptr, Int, Int],
        4,
        U32,
        "writes a packet to a file",
    )
    .no(KERNEL),
    f(
        "socket_cookie",
        "uint64 socket_cookie(struct sock *sk)",
        &[Ptr],
        1,
        U64,
        "cookie of a socket",
    )
    .no(KERNEL),
    f(
        "static_assert",
        "void static_assert(bool condition, string msg)",
        &[Int, ConstStr],
        2,
        Void,
        "refuses to compile unless the condition holds",
    ),
    f(
        "stats",
        "stats_t stats(int64 n)",
        &[Int],
        1,
        Special,
        "count, average and total",
    )
    .agg(),
    f(
        "str",
        "string str(char *data, [uint32 length])",
        &[Any, Int],
        1,
        Special,
        "reads a string",
    ),
    f(
        "str_concat",
        "string str_concat(string s1, string s2)",
        &[Str, Str],
        2,
        Special,
        "two strings one after the other",
    ),
    f(
        "strcap",
        "int64 strcap(string)",
        &[Any],
        1,
        I64,
        "most bytes that a string may have",
    ),
    f(
        "strcontains",
        "bool strcontains(string haystack, string needle)",
        &[Str, Str],
        2,
        Bool,
        "whether one string is in the other",
    ),
    f(
        "strerror",
        "string strerror(int error)",
        &[Int],
        1,
        Special,
        "text of an errno",
    ),
    f(
        "strftime",
        "timestamp strftime(const string fmt, uint64 ns)",
        &[ConstStr, Int],
        2,
        Special,
        "a time as text",
    )
    .later(),
    f(
        "strlen",
        "uint64 strlen(string)",
        &[Any],
        1,
        U64,
        "length of a string",
    ),
    f(
        "strncmp",
        "int64 strncmp(char *s1, char *s2, int64 n)",
        &[Str, Str, ConstInt],
        3,
        I64,
        "compares strings",
    ),
    f(
        "strstr",
        "int64 strstr(string haystack, string needle)",
        &[Str, Str],
        2,
        I64,
        "place of one string in the other",
    ),
    f("sum", "sum_t sum(int64 n)", &[Int], 1, Special, "the sum").agg(),
    f(
        "syscall_name",
        "string syscall_name(int nr)",
        &[Int],
        1,
        Special,
        "name of a system call",
    ),
    f(
        "system",
        "void system(string fmt, [...args])",
        &[ConstStr, Any],
        1,
        Void,
        "runs a command",
    )
    .many()
    .guarded()
    .printed(),
    f(
        "tid",
        "uint32 tid([curr_ns|init])",
        &[Word],
        0,
        U32,
        "thread id",
    ),
    f(
        "time",
        "void time([const string fmt])",
        &[ConstStr],
        0,
        Void,
        "prints the time",
    )
    .printed(),
    f(
        "tseries",
        "tseries_t tseries(int64 n, int64 interval_ns, int64 num_intervals, [const string agg])",
        &[Int, ConstInt, ConstInt, ConstStr],
        3,
        Special,
        "values over time",
    )
    .agg(),
    f(
        "typeinfo",
        "record typeinfo(TYPE or expression)",
        &[Type],
        1,
        Special,
        "a type as a value",
    ),
    f(
        "uaddr",
        "T *uaddr(const string sym)",
        &[ConstStr],
        1,
        Special,
        "address of a symbol",
    )
    .only(User)
    .no("the name must stand in quotes, and be a symbol of the binary that the probe is in"),
    f(
        "uid",
        "uint64 uid",
        &[],
        0,
        U64,
        "user id of the current thread",
    ),
    f(
        "unwatch",
        "void unwatch(void *addr)",
        &[Ptr],
        1,
        Void,
        "removes a watchpoint",
    )
    .later()
    .no("watchpoints stay as they are set"),
    f(
        "uptr",
        "T *uptr(T *ptr)",
        &[Ptr],
        1,
        Special,
        "the pointer, as one into the process",
    ),
    f(
        "usermode",
        "uint8 usermode",
        &[],
        0,
        U8,
        "whether the process was in user mode",
    )
    .only(Registers),
    f(
        "username",
        "string username",
        &[],
        0,
        Special,
        "name of the current user",
    ),
    f(
        "ustack",
        "ustack_t ustack([mode,] [limit])",
        &[Any, Any],
        0,
        Special,
        "user stack",
    ),
    f(
        "usym",
        "usym_t usym(uint64 addr)",
        &[Int],
        1,
        Special,
        "user function of an address",
    ),
    f(
        "warnf",
        "void warnf(const string fmt, args...)",
        &[ConstStr, Any],
        1,
        Void,
        "prints a warning with its place in the script",
    )
    .many()
    .printed(),
    f(
        "write_user",
        "bool write_user(T *dst, T *src, uint32 len)",
        &[Ptr, Any, ConstInt],
        3,
        Bool,
        "writes into the process",
    )
    .guarded()
    .only(Process),
    f(
        "zero",
        "void zero(map m)",
        &[Map],
        1,
        Void,
        "sets all values of a map to zero",
    )
    .printed(),
];

/// `arg0`, `arg1`, …, as one row.
pub const ARG: Row = f(
    "arg",
    "int64 argN",
    &[],
    0,
    I64,
    "argument N of the function or probe",
)
.only(Arguments);

/// The row called `name`.
pub fn row(name: &str) -> Option<&'static Row> {
    if arg_index(name).is_some() {
        return Some(&ARG);
    }
    ROWS.iter().find(|r| r.name == name)
}

/// N of `argN`.
pub fn arg_index(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("arg")?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// Whether a bare word is a builtin.
pub fn is_name(name: &str) -> bool {
    row(name).is_some_and(Row::is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_unique_and_documented() {
        for pair in ROWS.windows(2) {
            assert!(
                pair[0].name < pair[1].name,
                "{} {}",
                pair[0].name,
                pair[1].name
            );
        }
        for row in ROWS {
            assert!(row.signature.contains(row.name), "{}", row.name);
            assert!(!row.doc.is_empty() && row.min <= row.max, "{}", row.name);
            assert!(
                row.max == ANY_NUMBER || row.max <= row.args.len(),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn arguments_are_one_row() {
        assert_eq!(row("arg12").map(|r| r.name), Some("arg"));
        assert!(row("argx").is_none() && row("arg").is_none());
    }
}
