//! Loading: contents of maps, test runs, BTF, and what a refusal says.

use std::os::fd::AsFd;

use baretrace::{
    asm::{Insn, Reg, Size},
    loader::{self, LoadError, LoadOptions},
    runtime::attach::run_raw_tp,
    span::Span,
    spec::ProgramKind,
    sys::bpf,
};

use crate::support::{self, counter, counter_map, object};

#[test]
fn programs_run_and_carry_their_lines() {
    if !support::may_trace() {
        return;
    }
    let kind = ProgramKind::RawTracepoint;
    let mut program = object(kind, counter_map(41), support::count_hit());
    program.programs[0].origins[3] = Some(Span::new(9, 13));
    let loaded = support::load(&program, true);
    assert_eq!(run_raw_tp(loaded.programs[0].as_fd()).expect("run"), 0);
    assert_eq!(counter(&loaded), 42);
    let info = bpf::program_info(loaded.programs[0].as_fd()).expect("info");
    assert_eq!(info.name, "test");
    assert!(info.gpl_compatible);
    assert_ne!(info.btf_id, 0, "the kernel refused our BTF");
    assert_eq!((info.maps, info.uid), (1, 0));
    let xlated = bpf::program_xlated(loaded.programs[0].as_fd()).expect("xlated");
    assert_eq!(xlated.len(), info.xlated_len as usize);
    let maps = bpf::program_map_ids(loaded.programs[0].as_fd()).expect("map ids");
    let again = bpf::Map::by_id(maps[0]).expect("map by id");
    assert_eq!((again.key_size(), again.value_len()), (4, 8));
    assert!(
        bpf::ids(bpf::Ids::Programs)
            .expect("ids")
            .contains(&info.id)
    );
}

#[test]
fn a_refusal_names_line_and_instruction() {
    if !support::may_trace() {
        return;
    }
    let bad = Insn::Load {
        size: Size::DW,
        signed: false,
        dst: Reg::R0,
        src: Reg::R5,
        off: 0,
    };
    let insns = vec![support::map(Reg::R1, 0), bad, Insn::Exit];
    let mut program = object(ProgramKind::Kprobe, counter_map(0), insns);
    program.programs[0].origins[1] = Some(Span::new(9, 13));
    let error = loader::load(&program, &LoadOptions::default()).unwrap_err();
    let LoadError::Rejected(rejected) = &error else {
        panic!("{error}");
    };
    assert_eq!(rejected.insn, Some(1));
    assert_eq!(error.span(), Some(Span::new(9, 13)));
    assert_eq!(error.errno(), Some(libc::EACCES));
    let text = error.to_string();
    assert!(
        text.contains("EACCES") && text.contains("R5 !read_ok"),
        "{text}"
    );
}

#[test]
fn per_cpu_maps_and_batches() {
    if !support::may_trace() {
        return;
    }
    let map = |kind| {
        bpf::Map::create(&bpf::MapCreate {
            kind,
            key_size: 4,
            value_size: 4,
            max_entries: 5000,
            flags: 0,
            name: "hash",
        })
        .expect("create")
    };
    for kind in [1, 5] {
        let map = map(kind);
        for key in 0..3000u32 {
            let value = vec![key as u8; map.value_len()];
            map.update(&key.to_ne_bytes(), &value, 0).expect("update");
        }
        let mut all = map.entries().expect("entries");
        all.sort_by_key(|(key, _)| u32::from_ne_bytes(key[..].try_into().expect("4")));
        assert_eq!(all.len(), 3000);
        for (want, (key, value)) in all.iter().enumerate() {
            assert_eq!(key[..], (want as u32).to_ne_bytes());
            assert_eq!(value[0], want as u8);
        }
        assert!(map.delete(&7u32.to_ne_bytes()).expect("delete"));
        assert!(!map.delete(&7u32.to_ne_bytes()).expect("delete"));
        assert_eq!(map.entries().expect("entries").len(), 2999);
        assert!(map.lookup(&[0; 4], &mut [0; 1]).is_err(), "short buffer");
    }
}
