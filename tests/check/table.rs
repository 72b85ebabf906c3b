//! One accepted and one refused program for each rule, in the kernel's dialect; `~` ends a line. The kernel must agree.

use std::collections::BTreeMap;

use baretrace::{
    asm::{
        Insn,
        text::{self, Dialect},
    },
    check::{self, program},
    kernel::{detect, kfuncs},
    loader::{self, LoadError, LoadOptions},
    spec::{AttachSpec, MapKind, MapSpec, Object, ProgramKind, ProgramSpec},
};

/// The rule, a program that keeps it, one that breaks it, and what the checker says to that.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// Looks up key 0 of `hash`; `r0` is the value or 0.
const LOOKUP: &str =
    "*(u64 *)(r10 -8) = 0 ~ r2 = r10 ~ r2 += -8 ~ r1 = map[hash] ~ call bpf_map_lookup_elem";
/// As [`LOOKUP`], and ends if there is none.
const VALUE: &str = "*(u64 *)(r10 -8) = 0 ~ r2 = r10 ~ r2 += -8 ~ r1 = map[hash] ~ call bpf_map_lookup_elem ~ \
                     if r0 == 0 goto out";
/// A record of 16 bytes in `r0`.
const RECORD: &str =
    "r1 = map[ring] ~ r2 = 16 ~ r3 = 0 ~ call bpf_ringbuf_reserve ~ if r0 == 0 goto out";
/// A number of which nothing is known in `r0`.
const RANDOM: &str = "call bpf_get_prandom_u32";
const END: &str = "out: ~ r0 = 0 ~ exit";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("r0 at exit", "r0 = 0 ~ exit", "r1 = 0 ~ exit", "r0 has no value here"),
    ("register read", "r2 = 1 ~ r0 = r2 ~ exit", "r0 = r2 ~ exit", "r2 has no value here"),
    ("register on one path", "r0 = 0 ~ if r1 == 0 goto +1 ~ r0 = 1 ~ exit", "r0 = *(u64 *)(r1 +0) ~ if r0 == 0 goto +1 ~ r3 = 1 ~ r0 = r3 ~ exit", "r3 has no value here"),
    ("r0 after a void helper", "RECORD ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_discard ~ END", "RECORD ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_discard ~ r1 = r0 ~ END", "r0 has no value here"),
    ("r1 after a call", "r6 = r1 ~ RANDOM ~ r0 = r6 ~ r0 = 0 ~ exit", "RANDOM ~ r0 = r1 ~ exit", "r1 has no value here"),
    ("r5 after a call", "r9 = 1 ~ RANDOM ~ r0 = r9 ~ exit", "r5 = 1 ~ RANDOM ~ r0 = r5 ~ exit", "r5 has no value here"),
    ("r10 is read-only", "r2 = r10 ~ r2 += -8 ~ r0 = 0 ~ exit", "r10 += -8 ~ r0 = 0 ~ exit", "writes r10, which is read-only"),
    ("r10 as a load's target", "*(u64 *)(r10 -8) = 0 ~ r0 = *(u64 *)(r10 -8) ~ exit", "*(u64 *)(r10 -8) = 0 ~ r10 = *(u64 *)(r10 -8) ~ r0 = 0 ~ exit", "writes r10, which is read-only"),
    ("cmpxchg through r0", "VALUE ~ r6 = r0 ~ r0 = 1 ~ r0 = atomic64_cmpxchg((u64 *)(r6 +0), r0, r0) ~ END", "VALUE ~ r3 = 1 ~ r0 = atomic64_cmpxchg((u64 *)(r0 +0), r0, r3) ~ END", "fetches into r0, which holds the address"),
    ("fetch into the address", "VALUE ~ r1 = 1 ~ r1 = atomic64_fetch_add((u64 *)(r0 +0), r1) ~ END", "VALUE ~ r0 = atomic64_fetch_add((u64 *)(r0 +0), r0) ~ END", "fetches into r0, which holds the address"),
    ("missing exit", "r0 = 0 ~ exit", "r0 = 0", "control runs past the function's end"),
    ("jump outside", "r0 = 0 ~ goto +0 ~ exit", "r0 = 0 ~ goto +7 ~ exit", "goes to slot 9, outside the program"),
    ("jump into a wide immediate", "r0 = 0 ~ goto +0 ~ r0 = 0x123456789 ll ~ exit", "r0 = 0 ~ goto +1 ~ r0 = 0x123456789 ll ~ exit", "goes to slot 3, the middle of a wide immediate"),
    ("unreachable code", "r0 = 0 ~ goto +0 ~ exit", "r0 = 0 ~ goto +1 ~ r0 = 1 ~ exit", "no path leads to it"),
    ("code behind the exit", "r0 = 0 ~ exit", "r0 = 0 ~ exit ~ r0 = 1 ~ exit", "no path leads to it"),
    ("endless loop", "r0 = 0 ~ loop: ~ r0 += 1 ~ if r0 < 10 goto loop ~ exit", "r0 = 0 ~ loop: ~ goto loop ~ exit", "no path leads to it"),
    ("loop with nothing changed", "r0 = 0 ~ r6 = 0 ~ loop: ~ r6 += 1 ~ if r6 < 5 goto loop ~ exit", "r0 = 0 ~ r6 = *(u64 *)(r1 +0) ~ loop: ~ if r6 == 5 goto loop ~ exit", "the loop comes back with nothing changed"),
    ("endless by may_goto", "r0 = 0 ~ loop: ~ may_goto out ~ goto loop ~ out: ~ exit", "r0 = 0 ~ loop: ~ may_goto out ~ r10 += 1 ~ goto loop ~ out: ~ exit", "writes r10, which is read-only"),
    ("may_goto forgets counts", "r0 = 0 ~ r6 = 0 ~ loop: ~ may_goto out ~ r6 += 1 ~ goto loop ~ out: ~ r0 = r6 ~ exit", "VALUE ~ r6 = 0 ~ loop: ~ may_goto done ~ r6 += 1 ~ goto loop ~ done: ~ r0 += r6 ~ r0 = *(u8 *)(r0 +0) ~ END", "1 bytes at offset 64 are not inside the map value of 64 bytes"),
    ("division by 0", "r0 = 8 ~ r0 /= 2 ~ exit", "r0 = 8 ~ r0 /= 0 ~ exit", "divides by 0"),
    ("remainder by 0", "r0 = 8 ~ w0 %= 3 ~ exit", "r0 = 8 ~ w0 %= 0 ~ exit", "divides by 0"),
    ("shift by the width", "r0 = 8 ~ r0 <<= 63 ~ exit", "r0 = 8 ~ r0 <<= 64 ~ exit", "shifts by 64, which is not less than the width"),
    ("32-bit shift", "r0 = 8 ~ w0 >>= 31 ~ exit", "r0 = 8 ~ w0 >>= 32 ~ exit", "shifts by 32, which is not less than the width"),
    ("stack, below", "*(u64 *)(r10 -512) = 0 ~ r0 = 0 ~ exit", "*(u64 *)(r10 -520) = 0 ~ r0 = 0 ~ exit", "8 bytes at r10 -520 are not inside the stack of 512 bytes"),
    ("stack, above", "*(u64 *)(r10 -8) = 0 ~ r0 = 0 ~ exit", "*(u64 *)(r10 +0) = 0 ~ r0 = 0 ~ exit", "8 bytes at r10 +0 are not inside the stack of 512 bytes"),
    ("stack, crossing the top", "*(u32 *)(r10 -4) = 0 ~ r0 = 0 ~ exit", "*(u64 *)(r10 -4) = 0 ~ r0 = 0 ~ exit", "the address is no multiple of 8"),
    ("stack index without bounds", "RANDOM ~ r0 &= 7 ~ r1 = r10 ~ r1 += r0 ~ *(u8 *)(r1 -8) = 0 ~ END", "RANDOM ~ r1 = r10 ~ r1 += r0 ~ *(u8 *)(r1 -8) = 0 ~ END", "r1 may point anywhere after this"),
    ("part of a stored pointer", "*(u64 *)(r10 -8) = r10 ~ r2 = *(u64 *)(r10 -8) ~ *(u64 *)(r2 -16) = 0 ~ END", "*(u64 *)(r10 -8) = r10 ~ r2 = *(u32 *)(r10 -8) ~ *(u64 *)(r2 -16) = 0 ~ END", "reads or writes part of a stored pointer"),
    ("null check", "VALUE ~ r0 = *(u64 *)(r0 +0) ~ END", "LOOKUP ~ r0 = *(u64 *)(r0 +0) ~ exit", "memory access through r0, which may be 0 (map_value_or_null)"),
    ("null check, store", "VALUE ~ *(u64 *)(r0 +0) = 1 ~ END", "LOOKUP ~ *(u64 *)(r0 +0) = 1 ~ r0 = 0 ~ exit", "memory access through r0, which may be 0 (map_value_or_null)"),
    ("null check the wrong way", "LOOKUP ~ if r0 != 0 goto +2 ~ r0 = 0 ~ exit ~ r0 = *(u64 *)(r0 +0) ~ exit", "LOOKUP ~ if r0 == 0 goto +2 ~ r0 = 0 ~ exit ~ r0 = *(u64 *)(r0 +0) ~ exit", "memory access through r0, which is no pointer to memory (scalar)"),
    ("null check of a copy", "LOOKUP ~ r6 = r0 ~ if r0 == 0 goto out ~ r0 = *(u64 *)(r6 +0) ~ END", "LOOKUP ~ r6 = r0 ~ r0 = *(u64 *)(r6 +0) ~ exit", "memory access through r6, which may be 0 (map_value_or_null)"),
    ("arithmetic before the null check", "VALUE ~ r0 += 8 ~ r0 = *(u64 *)(r0 +0) ~ END", "LOOKUP ~ r0 += 8 ~ if r0 == 0 goto out ~ r0 = *(u64 *)(r0 +0) ~ END", "arithmetic on r0, which may be 0 (map_value_or_null)"),
    ("value, last byte", "VALUE ~ r0 = *(u64 *)(r0 +56) ~ END", "VALUE ~ r0 = *(u64 *)(r0 +57) ~ END", "8 bytes at offset 57 are not inside the map value of 64 bytes"),
    ("value, before", "VALUE ~ r0 += 8 ~ r0 = *(u64 *)(r0 -8) ~ END", "VALUE ~ r0 = *(u64 *)(r0 -8) ~ END", "8 bytes at offset -8 are not inside the map value of 64 bytes"),
    ("value, masked index", "VALUE ~ r6 = r0 ~ RANDOM ~ r0 &= 63 ~ r6 += r0 ~ r0 = *(u8 *)(r6 +0) ~ END", "VALUE ~ r6 = r0 ~ RANDOM ~ r0 &= 127 ~ r6 += r0 ~ r0 = *(u8 *)(r6 +0) ~ END", "1 bytes at offset 127 are not inside the map value of 64 bytes"),
    ("value, compared index", "VALUE ~ r6 = r0 ~ RANDOM ~ if r0 > 63 goto out ~ r6 += r0 ~ r0 = *(u8 *)(r6 +0) ~ END", "VALUE ~ r6 = r0 ~ RANDOM ~ if r0 > 64 goto out ~ r6 += r0 ~ r0 = *(u8 *)(r6 +0) ~ END", "1 bytes at offset 64 are not inside the map value of 64 bytes"),
    ("value, negative index", "VALUE ~ r1 = *(s8 *)(r0 +0) ~ if r1 s< 0 goto out ~ if r1 > 63 goto out ~ r0 += r1 ~ r0 = *(u8 *)(r0 +0) ~ END", "VALUE ~ r1 = *(s8 *)(r0 +0) ~ if r1 s> 63 goto out ~ r0 += r1 ~ r0 = *(u8 *)(r0 +0) ~ END", "an offset into the map value may be negative"),
    ("a bit that differs decides", "VALUE ~ r1 = *(u16 *)(r0 +0) ~ w1 <<= 2 ~ if w1 == 2 goto +1 ~ r3 = 1 ~ r0 = r3 ~ exit ~ END", "VALUE ~ r1 = *(u16 *)(r0 +0) ~ w1 <<= 2 ~ if w1 == 4 goto +1 ~ r3 = 1 ~ r0 = r3 ~ exit ~ END", "r3 has no value here"),
    ("32-bit bounds", "VALUE ~ r6 = r0 ~ RANDOM ~ w0 = w0 ~ if w0 > 63 goto out ~ r6 += r0 ~ r0 = *(u8 *)(r6 +0) ~ END", "VALUE ~ r1 = *(u64 *)(r0 +0) ~ if w1 > 63 goto out ~ r0 += r1 ~ r0 = *(u8 *)(r0 +0) ~ END", "r0 may point anywhere after this"),
    ("32-bit copy cuts the upper half", "VALUE ~ r1 = *(u64 *)(r0 +0) ~ w1 &= 63 ~ r0 += r1 ~ r0 = *(u8 *)(r0 +0) ~ END", "VALUE ~ r1 = *(u64 *)(r0 +0) ~ w1 &= -1 ~ r0 += r1 ~ r0 = *(u8 *)(r0 +0) ~ END", "an offset into the map value has no upper bound"),
    ("32-bit shift by an unknown number", "VALUE ~ r1 = *(u64 *)(r0 +0) ~ w1 >>= 3 ~ r1 >>= 32 ~ r0 += r1 ~ r0 = *(u8 *)(r0 +0) ~ END", "VALUE ~ r1 = *(u64 *)(r0 +0) ~ r2 = *(u32 *)(r0 +8) ~ w1 >>= w2 ~ r1 >>= 32 ~ r0 += r1 ~ r0 = *(u8 *)(r0 +0) ~ END", "an offset into the map value has no upper bound"),
    ("value at a fixed address", "r1 = map[array][0]+56 ~ r0 = *(u64 *)(r1 +0) ~ exit", "r1 = map[array][0]+60 ~ r0 = *(u64 *)(r1 +0) ~ exit", "8 bytes at offset 60 are not inside the map value of 64 bytes"),
    ("fixed address of a hash", "r1 = map[array][0]+0 ~ r0 = 0 ~ exit", "r1 = map[hash][0]+0 ~ r0 = 0 ~ exit", "map 0 has no such value at a fixed address"),
    ("pointer times", "r2 = r10 ~ r2 += -8 ~ r0 = 0 ~ exit", "r2 = r10 ~ r2 *= 8 ~ r0 = 0 ~ exit", "multiplying on r2, which is a pointer (fp)"),
    ("pointer and a mask", "r2 = r10 ~ r2 += -16 ~ r0 = 0 ~ exit", "r2 = r10 ~ r2 &= -8 ~ r0 = 0 ~ exit", "bit operations on r2, which is a pointer (fp)"),
    ("32-bit arithmetic on a pointer", "r2 = r10 ~ r2 += -8 ~ r0 = 0 ~ exit", "r2 = r10 ~ w2 += -8 ~ r0 = 0 ~ exit", "32-bit arithmetic on r2, which is a pointer (fp)"),
    ("sum of pointers", "r2 = r10 ~ r3 = r10 ~ r2 -= r3 ~ r0 = 0 ~ exit", "r2 = r10 ~ r3 = r10 ~ r2 += r3 ~ r0 = 0 ~ exit", "adding on r2, which is a pointer (fp)"),
    ("arithmetic on a map", "r1 = map[array] ~ r0 = 0 ~ exit", "r1 = map[array] ~ r1 += 8 ~ r0 = 0 ~ exit", "adding on r1, which is a pointer (map_ptr)"),
    ("number as a pointer", "r0 = *(u64 *)(r1 +0) ~ exit", "r2 = *(u64 *)(r1 +0) ~ r0 = *(u64 *)(r2 +0) ~ exit", "memory access through r2, which is no pointer to memory (scalar)"),
    ("store through a number", "r2 = r10 ~ *(u64 *)(r2 -8) = 1 ~ r0 = 0 ~ exit", "r2 = 4096 ~ *(u64 *)(r2 -8) = 1 ~ r0 = 0 ~ exit", "memory access through r2, which is no pointer to memory (scalar)"),
    ("context, inside", "r0 = *(u64 *)(r1 +160) ~ exit", "r0 = *(u64 *)(r1 +168) ~ exit", "reads 8 bytes at offset 168 of the context, which this program type does not have"),
    ("context, before", "r0 = *(u64 *)(r1 +0) ~ exit", "r0 = *(u64 *)(r1 -8) ~ exit", "reads 8 bytes at offset -8 of the context, which this program type does not have"),
    ("context, write", "r0 = *(u64 *)(r1 +8) ~ exit", "*(u64 *)(r1 +8) = 0 ~ r0 = 0 ~ exit", "writes 8 bytes at offset 8 of the context, which this program type does not have"),
    ("context, unaligned", "r0 = *(u64 *)(r1 +16) ~ exit", "r0 = *(u64 *)(r1 +12) ~ exit", "reads 8 bytes at offset 12 of the context, which this program type does not have"),
    ("context, moved by a number", "r0 = *(u64 *)(r1 +16) ~ exit", "r6 = r1 ~ RANDOM ~ r0 &= 8 ~ r6 += r0 ~ r0 = *(u64 *)(r6 +0) ~ exit", "the context pointer was changed before this use"),
    ("no such helper", "RANDOM ~ exit", "call 9999 ~ exit", "there is no helper 9999"),
    ("helper of another type", "RANDOM ~ exit", "r2 = 0 ~ call bpf_redirect_map ~ exit", "bpf_redirect_map is not for programs of type Kprobe"),
    ("map argument", "VALUE ~ END", "*(u32 *)(r10 -4) = 0 ~ r2 = r10 ~ r2 += -4 ~ r1 = 5 ~ call bpf_map_lookup_elem ~ r0 = 0 ~ exit", "bpf_map_lookup_elem wants a map in r1, which holds scalar"),
    ("key argument", "VALUE ~ END", "r1 = map[array] ~ r2 = 0 ~ call bpf_map_lookup_elem ~ r0 = 0 ~ exit", "bpf_map_lookup_elem wants a pointer to a key in r2, which holds scalar"),
    ("key beyond the stack", "VALUE ~ END", "r1 = map[array] ~ r2 = r10 ~ r2 += -2 ~ call bpf_map_lookup_elem ~ r0 = 0 ~ exit", "4 bytes at r10 -2 are not inside the stack of 512 bytes"),
    ("key argument missing", "VALUE ~ END", "r1 = map[array] ~ call bpf_map_lookup_elem ~ r0 = 0 ~ exit", "r2 has no value here"),
    ("context argument", "r0 = 0 ~ call bpf_get_attach_cookie ~ exit", "r1 = 0 ~ call bpf_get_attach_cookie ~ exit", "bpf_get_attach_cookie wants the context in r1, which holds scalar"),
    ("kind of map", "VALUE ~ END", "*(u32 *)(r10 -4) = 0 ~ r2 = r10 ~ r2 += -4 ~ r1 = map[ring] ~ call bpf_map_lookup_elem ~ r0 = 0 ~ exit", "bpf_map_lookup_elem does not work on map 3 of this kind"),
    ("length, bounded", "r6 = r10 ~ RANDOM ~ r0 &= 7 ~ r2 = r0 ~ r1 = r6 ~ r1 += -8 ~ r3 = 0 ~ call bpf_probe_read_user ~ exit", "RANDOM ~ r2 = r0 ~ r1 = r10 ~ r1 += -8 ~ r3 = 0 ~ call bpf_probe_read_user ~ exit", "bpf_probe_read_user wants a length in r2, which may be negative"),
    ("length, negative", "r1 = r10 ~ r1 += -8 ~ r2 = 8 ~ r3 = 0 ~ call bpf_probe_read_user ~ exit", "r1 = r10 ~ r1 += -8 ~ r2 = -8 ~ r3 = 0 ~ call bpf_probe_read_user ~ exit", "bpf_probe_read_user wants a length in r2, which may be negative"),
    ("length, 0", "r1 = r10 ~ r1 += -16 ~ r2 = 16 ~ call bpf_get_current_comm ~ exit", "r1 = r10 ~ r1 += -16 ~ r2 = 0 ~ call bpf_get_current_comm ~ exit", "bpf_get_current_comm wants a length in r2, which may be 0"),
    ("room on the stack", "r1 = r10 ~ r1 += -16 ~ r2 = 16 ~ call bpf_get_current_comm ~ exit", "r1 = r10 ~ r1 += -8 ~ r2 = 16 ~ call bpf_get_current_comm ~ exit", "16 bytes at r10 -8 are not inside the stack of 512 bytes"),
    ("room in a value", "VALUE ~ r1 = r0 ~ r2 = 64 ~ call bpf_get_current_comm ~ END", "VALUE ~ r1 = r0 ~ r2 = 65 ~ call bpf_get_current_comm ~ END", "65 bytes at offset 0 are not inside the map value of 64 bytes"),
    ("record kept", "RECORD ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_submit ~ END", "RECORD ~ *(u64 *)(r0 +0) = 1 ~ END", "the record reserved at insn 3 is neither submitted nor discarded"),
    ("record used after it was given", "RECORD ~ *(u64 *)(r0 +0) = 1 ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_submit ~ END", "RECORD ~ r6 = r0 ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_submit ~ *(u64 *)(r6 +0) = 1 ~ END", "r6 is no pointer any more: insn 8 ended its life"),
    ("record given twice", "RECORD ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_submit ~ END", "RECORD ~ r6 = r0 ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_submit ~ r1 = r6 ~ r2 = 0 ~ call bpf_ringbuf_submit ~ END", "r1 is no pointer any more: insn 8 ended its life"),
    ("record without a check", "RECORD ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_submit ~ END", "r1 = map[ring] ~ r2 = 16 ~ r3 = 0 ~ call bpf_ringbuf_reserve ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_submit ~ END", "bpf_ringbuf_submit wants a ring buffer record in r1, which holds mem_or_null"),
    ("record, beyond", "RECORD ~ *(u64 *)(r0 +8) = 1 ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_submit ~ END", "RECORD ~ *(u64 *)(r0 +16) = 1 ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_submit ~ END", "8 bytes at offset 16 are not inside the record of 16 bytes"),
    ("record of unknown size", "RECORD ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_submit ~ END", "RANDOM ~ r2 = r0 ~ r1 = map[ring] ~ r3 = 0 ~ call bpf_ringbuf_reserve ~ END", "bpf_ringbuf_reserve wants a length in r2, which is not a constant"),
    ("record moved", "RECORD ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_submit ~ END", "RECORD ~ r0 += 8 ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_submit ~ END", "r1 may point anywhere after this"),
    ("atomic on a value", "VALUE ~ r1 = 1 ~ lock *(u64 *)(r0 +0) += r1 ~ END", "VALUE ~ r1 = 1 ~ lock *(u64 *)(r0 +64) += r1 ~ END", "8 bytes at offset 64 are not inside the map value of 64 bytes"),
    ("atomic on the context", "VALUE ~ r1 = 1 ~ lock *(u32 *)(r0 +4) += r1 ~ END", "r2 = 1 ~ lock *(u64 *)(r1 +0) += r2 ~ r0 = 0 ~ exit", "atomic operation on memory without them (ctx)"),
    ("atomic, unaligned", "VALUE ~ r1 = 1 ~ lock *(u64 *)(r0 +8) += r1 ~ END", "VALUE ~ r1 = 1 ~ lock *(u64 *)(r0 +4) += r1 ~ END", "the address is no multiple of 8"),
    ("function", "r0 = 1 ~ call f ~ exit ~ f: ~ r0 = 2 ~ exit", "r0 = 1 ~ call f ~ exit ~ f: ~ r0 = r6 ~ exit", "r6 has no value here"),
    ("function's result", "call f ~ exit ~ f: ~ r0 = 2 ~ exit", "call f ~ exit ~ f: ~ r0 = r10 ~ exit", "returns a pointer to the function's own stack"),
    ("function without an end", "call f ~ exit ~ f: ~ r0 = 2 ~ exit", "call f ~ exit ~ f: ~ r0 = 2", "control runs past the function's end"),
    ("jump out of a function", "call f ~ exit ~ f: ~ r0 = 2 ~ goto +0 ~ exit", "call f ~ exit ~ f: ~ r0 = 2 ~ goto -3 ~ exit", "jumps to insn 1, which is part of another function"),
    ("caller's stack", "r1 = r10 ~ r1 += -8 ~ call f ~ exit ~ f: ~ *(u64 *)(r1 +0) = 1 ~ r0 = 0 ~ exit", "r1 = r10 ~ r1 += -8 ~ call f ~ exit ~ f: ~ *(u64 *)(r1 +0) = r10 ~ r0 = 0 ~ exit", "stores a pointer to this function's stack in its caller's"),
    ("callback", "r1 = 4 ~ r2 = subprog[f] ~ r3 = 0 ~ r4 = 0 ~ call bpf_loop ~ r0 = 0 ~ exit ~ f: ~ r0 = 0 ~ exit", "r1 = 4 ~ r2 = subprog[f] ~ r3 = 0 ~ r4 = 0 ~ call bpf_loop ~ r0 = 0 ~ exit ~ f: ~ r0 = 2 ~ exit", "a callback may return something other than 0 or 1"),
    ("callback's argument", "r1 = 4 ~ r2 = subprog[f] ~ r3 = r10 ~ r3 += -8 ~ r4 = 0 ~ *(u64 *)(r10 -8) = 0 ~ call bpf_loop ~ r0 = 0 ~ exit ~ f: ~ *(u64 *)(r2 +0) = 5 ~ r0 = 0 ~ exit", "r1 = 4 ~ r2 = subprog[f] ~ r3 = 0 ~ r4 = 0 ~ call bpf_loop ~ r0 = 0 ~ exit ~ f: ~ *(u64 *)(r2 +0) = 5 ~ r0 = 0 ~ exit", "memory access through r2, which is no pointer to memory (scalar)"),
    ("callback is a function", "r1 = 4 ~ r2 = subprog[f] ~ r3 = 0 ~ r4 = 0 ~ call bpf_loop ~ r0 = 0 ~ exit ~ f: ~ r0 = 1 ~ exit", "r1 = 4 ~ r2 = 7 ~ r3 = 0 ~ r4 = 0 ~ call bpf_loop ~ r0 = 0 ~ exit", "bpf_loop wants a function of the program in r2, which holds scalar"),
    ("callback of a map's entries", "r1 = map[hash] ~ r2 = subprog[f] ~ r3 = 0 ~ r4 = 0 ~ call bpf_for_each_map_elem ~ r0 = 0 ~ exit ~ f: ~ r1 = *(u64 *)(r3 +56) ~ r0 = 0 ~ exit", "r1 = map[hash] ~ r2 = subprog[f] ~ r3 = 0 ~ r4 = 0 ~ call bpf_for_each_map_elem ~ r0 = 0 ~ exit ~ f: ~ r1 = *(u64 *)(r3 +64) ~ r0 = 0 ~ exit", "8 bytes at offset 64 are not inside the map value of 64 bytes"),
    ("callback's key", "r1 = map[hash] ~ r2 = subprog[f] ~ r3 = 0 ~ r4 = 0 ~ call bpf_for_each_map_elem ~ r0 = 0 ~ exit ~ f: ~ r1 = *(u64 *)(r2 +0) ~ r0 = 0 ~ exit", "r1 = map[hash] ~ r2 = subprog[f] ~ r3 = 0 ~ r4 = 0 ~ call bpf_for_each_map_elem ~ r0 = 0 ~ exit ~ f: ~ r1 = *(u64 *)(r2 +8) ~ r0 = 0 ~ exit", "8 bytes at offset 8 are not inside the map key of 8 bytes"),
    ("32-bit shift by a wide number", "VALUE ~ r1 = *(u64 *)(r0 +0) ~ r2 = 3 ~ w1 >>= w2 ~ r1 >>= 32 ~ r0 += r1 ~ r0 = *(u8 *)(r0 +0) ~ END", "VALUE ~ r1 = *(u64 *)(r0 +0) ~ r2 = 0x100000003 ll ~ w1 >>= w2 ~ r1 >>= 32 ~ r0 += r1 ~ r0 = *(u8 *)(r0 +0) ~ END", "an offset into the map value has no upper bound"),
    ("sign-extended part of an address", "VALUE ~ r1 = (s8)r10 ~ END", "VALUE ~ r1 = (s8)r10 ~ r0 += r1 ~ r0 = *(u8 *)(r0 +0) ~ END", "r0 may point anywhere after this"),
    ("byte order of a number", "VALUE ~ r1 = 0x700 ~ r1 = be16 r1 ~ r0 += r1 ~ r0 = *(u8 *)(r0 +0) ~ END", "VALUE ~ r1 = 0x700 ~ r1 = le16 r1 ~ r0 += r1 ~ r0 = *(u8 *)(r0 +0) ~ END", "1 bytes at offset 1792 are not inside the map value of 64 bytes"),
    ("tail call", "r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ r0 = 0 ~ exit", "r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ exit", "r0 has no value here"),
    ("tail call's map", "r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ r0 = 0 ~ exit", "r2 = map[hash] ~ r3 = 0 ~ call bpf_tail_call ~ r0 = 0 ~ exit", "bpf_tail_call does not work on map 0 of this kind"),
    ("tail call's context", "r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ r0 = 0 ~ exit", "r1 = 0 ~ r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ r0 = 0 ~ exit", "bpf_tail_call wants the context in r1, which holds scalar"),
    ("tail call with a record", "r6 = r1 ~ RECORD ~ r1 = r0 ~ r2 = 0 ~ call bpf_ringbuf_submit ~ r1 = r6 ~ r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ END", "r6 = r1 ~ RECORD ~ r1 = r6 ~ r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ END", "the record reserved at insn 4 is neither submitted nor discarded"),
    ("tail call in a function", "call f ~ exit ~ f: ~ r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ r0 = 1 ~ exit", "call f ~ exit ~ f: ~ r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ exit", "r0 has no value here"),
    ("tail call's result", "call f ~ r0 &= 63 ~ r1 = map[array][0]+0 ~ r1 += r0 ~ r0 = *(u8 *)(r1 +0) ~ exit ~ f: ~ r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ r0 = 1 ~ exit", "call f ~ r1 = map[array][0]+0 ~ r1 += r0 ~ r0 = *(u8 *)(r1 +0) ~ exit ~ f: ~ r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ r0 = 1 ~ exit", "r1 may point anywhere after this"),
    ("tail call under large frames", "*(u64 *)(r10 -240) = 0 ~ call f ~ exit ~ f: ~ r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ r0 = 1 ~ exit", "*(u64 *)(r10 -256) = 0 ~ call f ~ exit ~ f: ~ r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ r0 = 1 ~ exit", "a tail call from a function whose callers take 256 bytes of stack"),
    ("tail call in a callback", "r6 = r1 ~ r1 = 4 ~ r2 = subprog[f] ~ r3 = 0 ~ r4 = 0 ~ call bpf_loop ~ r0 = 0 ~ exit ~ f: ~ r0 = 0 ~ exit", "r6 = r1 ~ *(u64 *)(r10 -8) = r6 ~ r1 = 4 ~ r2 = subprog[f] ~ r3 = r10 ~ r3 += -8 ~ r4 = 0 ~ call bpf_loop ~ r0 = 0 ~ exit ~ f: ~ r1 = *(u64 *)(r2 +0) ~ r2 = map[progs] ~ r3 = 0 ~ call bpf_tail_call ~ r0 = 0 ~ exit", "a callback may return something other than 0 or 1"),
    ("cast without an arena", "r0 = r1 ~ r0 = 0 ~ exit", "r0 = addr_space_cast(r1, 0, 1) ~ r0 = 0 ~ exit", "casts an address of an arena, and the program has none"),
    ("call of a register", "call f ~ exit ~ f: ~ r0 = 2 ~ exit", "r0 = 0 ~ callx r1 ~ exit", "callx is no instruction of the kernel's"),
    ("jump to a register's address", "r0 = 0 ~ goto +0 ~ exit", "r0 = 0 ~ gotox r1 ~ exit", "gotox (kernels from 6.19 on): not modelled"),
    ("lookup in a program array", "VALUE ~ END", "*(u32 *)(r10 -4) = 0 ~ r2 = r10 ~ r2 += -4 ~ r1 = map[progs] ~ call bpf_map_lookup_elem ~ r0 = 0 ~ exit", "bpf_map_lookup_elem does not work on map 4 of this kind"),
    ("packet load", "r0 = 0 ~ exit", "r6 = r1 ~ r0 = *(u8 *)skb[0] ~ exit", "loads from a packet, and this program type has none"),
];

/// What the checker refuses and this kernel takes: the rule, the program, what the checker says. Kernels before 6.13
/// refuse these as well.
#[rustfmt::skip]
const STRICTER: &[(&str, &str, &str)] = &[
    ("frames on a stack of their own", "*(u64 *)(r10 -264) = 0 ~ call f ~ exit ~ f: ~ *(u64 *)(r10 -256) = 0 ~ r0 = 0 ~ exit", "a chain of calls takes 528 bytes of stack"),
    ("lookup in an array by a constant key", "*(u32 *)(r10 -4) = 0 ~ r2 = r10 ~ r2 += -4 ~ r1 = map[array] ~ call bpf_map_lookup_elem ~ r0 = *(u64 *)(r0 +0) ~ exit", "memory access through r0, which may be 0 (map_value_or_null)"),
];

fn lines(text: &str) -> String {
    let words = [
        ("LOOKUP", LOOKUP),
        ("VALUE", VALUE),
        ("RECORD", RECORD),
        ("RANDOM", RANDOM),
        ("END", END),
    ];
    expand(text, &words)
}

/// Expands the words that stand for lines.
pub(crate) fn expand(text: &str, words: &[(&str, &str)]) -> String {
    let known: BTreeMap<_, _> = words.iter().copied().collect();
    let line = |line: &str| {
        known
            .get(line.trim())
            .map_or(line.to_owned(), |l| (*l).to_owned())
    };
    let expanded: Vec<String> = text.split('~').map(line).collect();
    expanded
        .join("~")
        .split('~')
        .map(str::trim)
        .collect::<Vec<_>>()
        .join("\n")
        + "\n"
}

/// The instructions of a text whose maps have these numbers.
pub(crate) fn insns(text: &str, maps: &[&str]) -> Vec<Insn> {
    let options = text::Options {
        dialect: Some(Dialect::Kernel),
        fragment: true,
    };
    // Names are numbered as they appear.
    let all = maps.iter().map(|name| format!("r0 = map[{name}]\n"));
    let read = text::assemble(&(all.collect::<String>() + text), options);
    let mut read = read.unwrap_or_else(|e| panic!("{text}: {e:?}"));
    kfuncs::link(&mut read.insns, &read.kfuncs).expect("functions of the kernel");
    read.insns[maps.len()..].to_vec()
}

fn object(text: &str, license: &str) -> Object {
    const MAPS: [&str; 5] = ["hash", "array", "percpu", "ring", "progs"];
    let maps = vec![
        MapSpec::new("hash", MapKind::Hash, 8, 64, 16),
        MapSpec::new("array", MapKind::Array, 4, 64, 1),
        MapSpec::new("percpu", MapKind::PercpuArray, 4, 256, 4),
        MapSpec::new("ring", MapKind::Ringbuf, 0, 0, 4096),
        MapSpec::new("progs", MapKind::ProgArray, 4, 4, 4),
    ];
    let insns = insns(text, &MAPS);
    let mut program = ProgramSpec::user_probe("row", insns, AttachSpec::Manual("row".into()));
    program.kind = ProgramKind::Kprobe;
    let mut object = Object::by_hand(maps, vec![program]);
    object.license = license.into();
    object
}

fn ours(object: &Object) -> Result<(), String> {
    let spec = &object.programs[0];
    program(&spec.insns, &check::env(object, spec))
        .map(|_| ())
        .map_err(|e| e.what.to_string())
}

/// The kernel's verdict; `None` without the rights to ask.
fn theirs(object: &Object) -> Option<Result<(), String>> {
    if !detect::missing_rights(true).is_empty() {
        return None;
    }
    Some(match loader::load(object, &LoadOptions::default()) {
        Ok(_) => Ok(()),
        Err(e @ LoadError::Rejected(_)) => Err(e.to_string()),
        Err(e) => panic!("{e}"),
    })
}

#[test]
fn each_rule_takes_one_program_and_refuses_another() {
    let mut wrong = Vec::new();
    for &(rule, good, bad, message) in ROWS {
        let (good, bad) = (object(&lines(good), "GPL"), object(&lines(bad), "GPL"));
        if let Err(e) = ours(&good) {
            wrong.push(format!("{rule}: refused: {e}"));
        }
        if let Some(Err(e)) = theirs(&good) {
            wrong.push(format!("{rule}: the kernel refuses: {e}"));
        }
        let said = ours(&bad).err();
        if said.as_deref() != Some(message) {
            wrong.push(format!("{rule}: says {said:?}"));
        }
        if theirs(&bad) == Some(Ok(())) {
            wrong.push(format!("{rule}: the kernel takes the wrong one"));
        }
    }
    assert!(ROWS.len() >= 60);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn known_refusals_beyond_the_kernels() {
    for &(rule, text, message) in STRICTER {
        let object = object(&lines(text), "GPL");
        assert_eq!(ours(&object), Err(message.to_owned()), "{rule}");
    }
}

#[test]
fn helpers_for_gpl_programs_are_refused_to_others() {
    let text =
        lines("r1 = r10 ~ r1 += -8 ~ r2 = 8 ~ r3 = 0 ~ call bpf_probe_read_kernel ~ r0 = 0 ~ exit");
    assert_eq!(ours(&object(&text, "GPL")), Ok(()));
    let closed = object(&text, "Proprietary");
    let want = "bpf_probe_read_kernel is for GPL-compatible programs";
    assert_eq!(ours(&closed), Err(want.to_owned()));
    assert_ne!(theirs(&closed), Some(Ok(())));
}
