//! ELF files and their USDT notes: written here, read by the library, whole and damaged.

mod damage;
mod writer;

use baretrace::elf;
use baretrace::spec::{Arch, ArgLoc};
use baretrace::usdt::{Error, Image, Listing, SiteError, parse_args, split_args};
use writer::{AARCH64, BASE, CODE, CODE_OFFSET, DATA, DATA_OFFSET, Elf, Note, RISCV, S390};

fn note(name: &'static str, pc: u64, args: &str) -> Note {
    Note {
        provider: "net",
        name,
        args: args.to_owned(),
        pc,
        semaphore: 0,
    }
}

/// Two probes, one of them at two sites with operands of their own.
fn sample() -> Elf {
    Elf {
        notes: vec![
            Note {
                semaphore: DATA + 6,
                ..note("message", CODE + 0x20, "-8@%rdi 4@$7")
            },
            note("connection", CODE + 0x30, "8f@%xmm0 8@counter+8(%rip)"),
            Note {
                semaphore: DATA + 6,
                ..note("message", CODE + 0x10, "-8@8(%rsp) 4@%eax")
            },
        ],
        symbols: vec![
            ("main", CODE, 0x20, true),
            ("counter", DATA + 0x10, 8, false),
            ("helper", CODE + 0x40, 0, true),
            ("outside", DATA, 4, true),
        ],
        build_id: Some(vec![0xab; 20]),
        debuglink: Some("sample.debug"),
        ..Elf::default()
    }
}

#[test]
fn sites_are_found_with_offsets_semaphores_and_their_own_operands() {
    let bytes = sample().write();
    let image = Image::parse(&bytes).unwrap();
    let probes = image.probes(|_, name| name == "message").unwrap();
    assert_eq!(probes.len(), 1);
    let sites = &probes[0].sites;
    let offsets: Vec<_> = sites.iter().map(|s| (s.offset, s.ref_ctr)).collect();
    let sema = DATA_OFFSET + 6;
    assert_eq!(
        offsets,
        [(CODE_OFFSET + 0x10, sema), (CODE_OFFSET + 0x20, sema)]
    );
    let rsp = ArgLoc::Mem {
        base: Some(152),
        index: None,
        disp: 8,
    };
    assert_eq!(sites[0].args[0].loc, rsp);
    assert_eq!(sites[1].args[0].loc, ArgLoc::Reg { reg: 112 });
    assert_eq!(sites[1].args[1].loc, ArgLoc::Const(7));
}

#[test]
fn symbols_are_relative_to_the_site_and_floats_are_values_not_errors() {
    let bytes = sample().write();
    let probes = Image::parse(&bytes)
        .unwrap()
        .probes(|_, n| n == "connection")
        .unwrap();
    let args = &probes[0].sites[0].args;
    assert!(matches!(&args[0].loc, ArgLoc::Unreadable(why) if why.contains("floating-point")));
    let delta = (DATA + 0x18 - (CODE + 0x30)) as i64;
    assert_eq!(args[1].loc, ArgLoc::IpRel { delta });
}

#[test]
fn both_classes_and_both_alignments() {
    for wide in [true, false] {
        for note_align in [0, 1, 4, 8] {
            let elf = Elf {
                wide,
                note_align,
                ..sample()
            };
            let bytes = elf.write();
            let image = Image::parse(&bytes).unwrap();
            let names: Vec<_> = image.notes().iter().map(|n| (n.name, n.pc)).collect();
            let want = [
                ("message", CODE + 0x20),
                ("connection", CODE + 0x30),
                ("message", CODE + 0x10),
            ];
            assert_eq!(names, want, "wide {wide}, align {note_align}");
        }
    }
    let bytes = Elf {
        note_align: 16,
        ..sample()
    }
    .write();
    assert_eq!(Image::parse(&bytes).unwrap_err(), Error::Align(16));
}

#[test]
fn prelink_is_undone() {
    let shift = 0x7000;
    let mut elf = sample();
    elf.linked_base = BASE - shift;
    for note in &mut elf.notes {
        note.pc -= shift;
    }
    // One semaphore moved with the file, as the notes say; the other was written after the move.
    elf.notes[0].semaphore -= shift;
    let bytes = elf.write();
    let probes = Image::parse(&bytes)
        .unwrap()
        .probes(|_, n| n == "message")
        .unwrap();
    let sites: Vec<_> = probes[0]
        .sites
        .iter()
        .map(|s| (s.offset, s.ref_ctr))
        .collect();
    let sema = DATA_OFFSET + 6;
    assert_eq!(
        sites,
        [(CODE_OFFSET + 0x10, sema), (CODE_OFFSET + 0x20, sema)]
    );
}

#[test]
fn a_site_that_is_no_nop_is_refused_by_name() {
    let mut elf = sample();
    elf.code[0x30] = 0x55;
    let bytes = elf.write();
    let image = Image::parse(&bytes).unwrap();
    assert!(image.probes(|_, n| n == "message").is_ok());
    let error = image.probes(|_, n| n == "connection").unwrap_err();
    assert_eq!(
        error.to_string(),
        "use USDT probe `net:connection` at vaddr 0x401030: the instruction there is not a nop but begins with 55 90 90 90"
    );
}

#[test]
fn sites_and_semaphores_outside_of_their_segments_are_refused() {
    let site = |note: Note| {
        let elf = Elf {
            notes: vec![note],
            ..Elf::default()
        };
        let bytes = elf.write();
        match Image::parse(&bytes).unwrap().probes(|_, _| true) {
            Err(Error::Site { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(site(note("a", 0x10, "")), SiteError::NotCode);
    assert_eq!(site(note("a", DATA, "")), SiteError::NotCode);
    let semaphore = CODE + 4;
    let bad = Note {
        semaphore,
        ..note("a", CODE, "")
    };
    assert_eq!(site(bad), SiteError::Semaphore(semaphore));
    let many = "8@%rax ".repeat(40);
    assert_eq!(site(note("a", CODE, &many)), SiteError::TooManyArgs(40));
}

#[test]
fn notes_of_code_that_the_linker_dropped_are_left_out() {
    let mut elf = sample();
    elf.notes.push(note("message", 0, "8@%rax"));
    let bytes = elf.write();
    let image = Image::parse(&bytes).unwrap();
    let probes = image.probes(|_, n| n == "message").unwrap();
    assert_eq!((image.notes().len(), probes[0].sites.len()), (3, 2));
}

#[test]
fn other_processors_are_listed_but_refused_by_name() {
    for (machine, name) in [
        (RISCV, "riscv64"),
        (S390, "s390x"),
        (3, "i386"),
        (9999, "machine 9999"),
    ] {
        let bytes = Elf {
            machine,
            ..sample()
        }
        .write();
        let image = Image::parse(&bytes).unwrap();
        assert_eq!(image.notes().len(), 3);
        let error = image.probes(|_, _| true).unwrap_err();
        assert_eq!(error, Error::Arch(name.to_owned()));
    }
}

#[test]
fn aarch64_sites_and_operands() {
    let elf = Elf {
        machine: AARCH64,
        code: [0x1f, 0x20, 0x03, 0xd5].repeat(64),
        notes: vec![note(
            "message",
            CODE + 0x10,
            "-8@[sp, 12] 4@w1 8@[x0, #:lo12:.LANCHOR0]",
        )],
        ..Elf::default()
    };
    let bytes = elf.write();
    let probes = Image::parse(&bytes).unwrap().probes(|_, _| true).unwrap();
    let site = &probes[0].sites[0];
    assert_eq!((site.offset, site.args.len()), (CODE_OFFSET + 0x10, 3));
    assert_eq!(site.args[1].loc, ArgLoc::Reg { reg: 8 });
    assert!(matches!(site.args[2].loc, ArgLoc::Unreadable(_)));
}

#[test]
fn listing_is_plain_or_verbose() {
    let bytes = sample().write();
    let image = Image::parse(&bytes).unwrap();
    let plain = Listing::new(&image, "/bin/x", "*", "mess*", false);
    assert_eq!(plain.to_string(), "usdt:/bin/x:net:message\n");
    assert!(Listing::new(&image, "/bin/x", "other", "*", false).is_empty());
    let verbose = Listing::new(&image, "/bin/x", "n?t", "message", true);
    let want = "\
usdt:/bin/x:net:message
    site 0x401020 (file offset 0x220), semaphore 0x603006 (file offset 0x406)
        arg0 int64   -8@%rdi
        arg1 uint32  4@$7
    site 0x401010 (file offset 0x210), semaphore 0x603006 (file offset 0x406)
        arg0 int64   -8@8(%rsp)
        arg1 uint32  4@%eax
";
    assert_eq!(verbose.to_string(), want);
}

#[test]
fn functions_build_id_and_debuglink() {
    for wide in [true, false] {
        let bytes = Elf { wide, ..sample() }.write();
        let image = elf::Image::parse(&bytes).unwrap();
        let all: Vec<_> = image
            .functions(|_| true)
            .iter()
            .map(|f| (f.name, f.vaddr, f.offset, f.size))
            .collect();
        let main = ("main", CODE, CODE_OFFSET, 0x20);
        assert_eq!(all, [main, ("helper", CODE + 0x40, CODE_OFFSET + 0x40, 0)]);
        assert_eq!(image.functions_named("main").len(), 1);
        assert_eq!(image.functions_named("mai").len(), 0);
        assert_eq!(image.functions_named("outside").len(), 0);
        assert_eq!(image.build_id(), Some(&[0xab; 20][..]));
        assert_eq!(image.debuglink(), Some(("sample.debug", 0x1234_5678)));
        assert_eq!(image.vaddr(CODE_OFFSET + 5), Some(CODE + 5));
        assert_eq!(image.vaddr(0x10), None);
    }
}

#[test]
fn every_note_of_real_builds_parses() {
    let mut rows = 0;
    for line in include_str!("../data/usdt-notes-x86_64.tsv").lines() {
        if line.starts_with('#') {
            continue;
        }
        let columns: Vec<_> = line.split('\t').collect();
        assert!(columns.len() >= 3, "{line}");
        let text = columns.get(3).copied().unwrap_or("");
        let args = parse_args(Arch::X86_64, text);
        assert_eq!(args.len(), text.split_whitespace().count(), "{line}");
        for arg in args {
            assert!(!matches!(arg.loc, ArgLoc::Unreadable(_)), "{line}: {arg:?}");
            // The note's own width: none of these rows names a register narrower than it says.
            let width: i32 = arg.text.split('@').next().unwrap().parse().unwrap();
            assert_eq!(
                (i32::from(arg.size), arg.signed),
                (width.abs(), width < 0),
                "{line}"
            );
        }
        rows += 1;
    }
    assert_eq!(rows, 562);
}

/// This test's own executable holds the demo target's probes: notes made by the toolchain at hand, not by the writer.
#[test]
fn own_probes_are_as_bitcoin_core_has_them() {
    let kept: [fn(&[&str]) -> _; 1] = [|words: &[&str]| baretrace::demo::target::run(words)];
    assert!(kept[0](&["--rounds", "1", "--pause-us", "0"]).is_ok());
    let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let probes = Image::parse(&bytes)
        .unwrap()
        .probes(|p, _| p != "baretrace")
        .unwrap();
    let mut want: Vec<(&str, &str)> = TRACEPOINTS.to_vec();
    want.sort_unstable();
    let got: Vec<_> = probes
        .iter()
        .map(|p| {
            let site = &p.sites[0];
            assert_ne!(site.ref_ctr, 0, "{} has a semaphore", p.name);
            let sizes: Vec<_> = site
                .args
                .iter()
                .map(|a| a.text.split('@').next().unwrap())
                .collect();
            (format!("{}:{}", p.provider, p.name), sizes.join(" "))
        })
        .collect();
    let got: Vec<_> = got.iter().map(|(n, s)| (n.as_str(), s.as_str())).collect();
    assert_eq!(got, want);
}

/// Name, and widths of the arguments in a real x86-64 build.
const TRACEPOINTS: &[(&str, &str)] = &[
    ("net:inbound_message", "-8 8 8 8 8 8"),
    ("net:outbound_message", "-8 8 8 8 8 8"),
    ("net:inbound_connection", "-8 8 8 4 8"),
    ("net:outbound_connection", "-8 8 8 4 8"),
    ("net:evicted_inbound_connection", "-8 8 8 4 -8"),
    ("net:closed_connection", "-8 8 8 4 -8"),
    ("net:misbehaving_connection", "-8 8"),
    ("validation:block_connected", "8 -4 8 -4 -8 -8"),
    ("utxocache:flush", "-8 4 8 8 1"),
    ("utxocache:add", "8 4 4 -8 1"),
    ("utxocache:spent", "8 4 4 -8 1"),
    ("utxocache:uncache", "8 4 4 -8 1"),
    ("coin_selection:selected_coins", "8 8 -8 -8 -8"),
    ("coin_selection:normal_create_tx_internal", "8 1 -8 -4"),
    ("coin_selection:attempting_aps_create_tx", "8"),
    ("coin_selection:aps_create_tx_internal", "8 1 1 -8 -4"),
    ("mempool:added", "8 -4 -8"),
    ("mempool:removed", "8 8 -4 -8 8"),
    ("mempool:replaced", "8 -4 -8 8 8 -4 -8 1"),
    ("mempool:rejected", "8 8"),
];

#[test]
fn empty_argument_strings_have_no_operands() {
    assert_eq!(split_args(" \t ").count(), 0);
}
