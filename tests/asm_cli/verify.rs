//! `baretrace verify`: verdicts on programs in every form.

use crate::support::{EXE, TempFile, run, text};
use std::process::{Command, Output};

/// Counts frames of IPv4 by the first byte behind the Ethernet header.
const COUNT: &str = "\
.section xdp
.license GPL
.map seen array 4 8 256
  r2 = *(u32 *)(r1 +0)
  r3 = *(u32 *)(r1 +4)
  r4 = r2
  r4 += 15
  if r4 > r3 goto out
  r5 = *(u8 *)(r2 +14)
  *(u32 *)(r10 -4) = r5
  r1 = map[seen]
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 == 0 goto out
  r1 = 1
  lock *(u64 *)(r0 +0) += r1
out:
  r0 = 2
  exit
";

fn verify(args: &[&str], input: &str) -> Output {
    run(Command::new(EXE).arg("verify").args(args), input.as_bytes())
}

#[test]
fn a_packet_program_is_accepted_as_what_its_section_says() {
    let out = verify(&[], COUNT);
    let said = text(&out.stdout);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(
        said.starts_with("stdin: 16 instructions of type xdp: nothing wrong;"),
        "{said}"
    );
    let known = text(&verify(&["-v"], COUNT).stdout);
    assert!(
        known.contains("r2: pointer into the packet, 15 bytes known to be there"),
        "{known}"
    );
}

#[test]
fn objects_are_verified_as_well() {
    let source = TempFile::new("count.s", COUNT.as_bytes());
    let object = TempFile::new("count.o", b"");
    let out = run(
        Command::new(EXE).args(["asm", source.name(), "-o", object.name()]),
        b"",
    );
    assert!(out.status.success(), "{}", text(&out.stderr));
    let out = verify(&[object.name()], "");
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains(" of type xdp: nothing wrong"));
}

#[test]
fn a_wrong_program_is_shown_with_what_is_known_and_the_mend() {
    let out = verify(&[], &COUNT.replace("r4 += 15", "r4 += 14"));
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    for part in [
        "as a program of type xdp, the verifier would refuse it: 1 bytes at offset 14 through r2, where 14 bytes of the packet are known to be",
        "stdin:9:3",
        "a packet may end anywhere",
        "compare a pointer behind the last byte with `data_end` first",
        "known here: r1 = pointer to the context, r2 = pointer into the packet, 14 bytes known to be there",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn the_type_decides() {
    let out = verify(&["--type", "kprobe"], COUNT);
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1));
    assert!(
        said.contains("memory access through r2, which is no pointer to memory (scalar)"),
        "{said}"
    );
    let out = verify(&[], &COUNT.replace(".section xdp", ".section struct_ops/x"));
    let said = text(&out.stderr);
    assert!(
        said.contains("section `struct_ops/x` says no program type that is known here"),
        "{said}"
    );
    assert!(said.contains("--type"), "{said}");
}

/// A loop whose turns the kernel counts.
const COUNTED: &str = "\
.section kprobe/x
  r1 = r10
  r1 += -8
  r2 = 0
  r3 = 5
  call bpf_iter_num_new
next:
  r1 = r10
  r1 += -8
  call bpf_iter_num_next
  if r0 != 0 goto next
  r1 = r10
  r1 += -8
  call bpf_iter_num_destroy
  r0 = 0
  exit
";

#[test]
fn kernel_functions_are_called_by_name() {
    if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
        eprintln!("skipped: the kernel has no BTF");
        return;
    }
    let out = verify(&[], COUNTED);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let out = verify(&[], &COUNTED.replace("  call bpf_iter_num_destroy\n", ""));
    let said = text(&out.stderr);
    assert!(
        said.contains("the count begun at insn 4 is not ended"),
        "{said}"
    );
    assert!(
        said.contains("call `bpf_iter_num_destroy` on every path"),
        "{said}"
    );
    let out = verify(&[], &COUNTED.replace("num_next", "nun_next"));
    let said = text(&out.stderr);
    assert!(said.contains("did you mean `bpf_iter_num_next`?"), "{said}");
}
