//! What is read of `tests/dwarf/types.debug`, whose source lies beside it.

use super::*;
use crate::spec::{StructDef, StructId, Type};

const FILE: &[u8] = include_bytes!("../../tests/dwarf/types.debug");
const SOURCE: &str = include_str!("../../tests/dwarf/types.c");

/// The signature as it is written in C.
fn written(function: &str) -> Option<String> {
    let s = signature(FILE, function).unwrap()?;
    let param = |(name, ty): &(String, TypeRef)| format!("{} {name}", s.types.spelling(*ty));
    let mut params: Vec<String> = s.params.iter().map(param).collect();
    params.extend(s.variadic.then(|| "...".to_owned()));
    Some(format!(
        "{} ({})",
        s.types.spelling(s.ret),
        params.join(", ")
    ))
}

#[test]
fn signatures() {
    for (function, want) in [
        (
            "area",
            Some(
                "int (const struct shape * shape, struct point by, unsigned char flag, const char * const text)",
            ),
        ),
        (
            "outer",
            Some("struct point * (struct packet * packet, struct hidden * hidden)"),
        ),
        ("nothing", Some("void ()")),
        ("many", Some("double (float f, ...)")),
        // It is inlined, and has no code of its own.
        ("inner", None),
        ("no_such", None),
    ] {
        assert_eq!(written(function).as_deref(), want, "{function}");
    }
}

fn def<'a>(structs: &'a [StructDef], name: &str) -> &'a StructDef {
    structs.iter().find(|s| s.name == name).unwrap()
}

#[test]
fn layouts() {
    let signature = signature(FILE, "area").unwrap().unwrap();
    let mut structs = Vec::new();
    let mut converter = Converter::new(&signature.types, &mut structs);
    let params: Vec<Type> = signature
        .params
        .iter()
        .map(|(_, ty)| converter.convert(*ty))
        .collect();
    assert_eq!(params[2], Type::U8);
    let shape = def(&structs, "struct shape");
    assert_eq!(
        params[0],
        Type::Ptr(Box::new(Type::Struct(id(&structs, "struct shape"))))
    );
    let layout: Vec<_> = shape
        .fields
        .iter()
        .map(|f| (f.name.as_str(), f.offset, f.bits))
        .collect();
    assert_eq!(
        layout,
        [
            ("name", 0, None),
            ("origin", 16, None),
            ("corners", 24, None),
            ("count", 32, None),
            ("color", 40, None),
            ("visible", 44, Some((0, 1))),
            ("level", 44, Some((1, 5))),
            ("", 48, None),
            ("grid", 56, None),
            ("next", 72, None),
            ("draw", 80, None),
            ("word", 88, None),
            ("done", 92, None),
        ]
    );
    assert_eq!((shape.size, shape.align), (96, 8));
    let ty = |name: &str| &shape.fields.iter().find(|f| f.name == name).unwrap().ty;
    assert_eq!(*ty("name"), Type::Str { size: 16 });
    assert_eq!(*ty("count"), Type::U64);
    assert_eq!(*ty("done"), Type::U8);
    assert_eq!(*ty("draw"), Type::Ptr(Box::new(Type::Void)));
    let short = Type::Int {
        bits: 16,
        signed: true,
    };
    let row = Type::Array(Box::new(short), 3);
    assert_eq!(*ty("grid"), Type::Array(Box::new(row), 2));
    let Type::Enum {
        name,
        bits: 32,
        values,
    } = ty("color")
    else {
        panic!("{:?}", ty("color"));
    };
    assert_eq!(name, "color");
    let values: Vec<_> = values.iter().map(|(v, n)| (n.as_str(), *v)).collect();
    assert_eq!(values, [("RED", 0), ("GREEN", 5), ("BLUE", -1)]);
    assert_eq!(def(&structs, "union word").size, 4);
    assert_eq!(def(&structs, "struct point").fields.len(), 2);
}

/// The index of a struct by its name.
fn id(structs: &[StructDef], name: &str) -> StructId {
    let at = structs.iter().position(|s| s.name == name).unwrap();
    StructId(at as u32)
}

#[test]
fn by_address() {
    let image = Image::parse(FILE).unwrap();
    let outer = image.symbol_table().find(|s| s.name == "outer").unwrap();
    let found = signature_at(FILE, outer.vaddr).unwrap();
    assert_eq!(found, signature(FILE, "outer").unwrap());
    assert_eq!(found.unwrap().params.len(), 2);
    assert_eq!(signature_at(FILE, outer.vaddr + 1), Ok(None));
    assert_eq!(signature_at(FILE, 0), Ok(None));
}

#[test]
fn types_by_name() {
    let (types, ty) = find_type(FILE, "struct packet").unwrap().unwrap();
    let mut structs = vec![StructDef {
        name: "struct other".to_owned(),
        size: 1,
        align: 1,
        fields: Vec::new(),
    }];
    let converted = Converter::new(&types, &mut structs).convert(ty);
    assert_eq!(converted, Type::Struct(StructId(1)));
    let packet = def(&structs, "struct packet");
    assert_eq!(
        (packet.size, packet.align, packet.fields[1].offset),
        (5, 1, 1)
    );
    let (types, ty) = find_type(FILE, "size_type").unwrap().unwrap();
    assert_eq!(Converter::new(&types, &mut structs).convert(ty), Type::U64);
    assert!(find_type(FILE, "enum color").unwrap().is_some());
    assert!(find_type(FILE, "union word").unwrap().is_some());
    // It is declared, but defined nowhere.
    assert_eq!(find_type(FILE, "struct hidden"), Ok(None));
}

#[test]
fn a_struct_of_the_script_is_kept() {
    let own = StructDef {
        name: "struct point".to_owned(),
        size: 4,
        align: 4,
        fields: vec![crate::spec::StructField {
            name: "z".to_owned(),
            ty: Type::U32,
            offset: 0,
            bits: None,
        }],
    };
    let mut structs = vec![own.clone()];
    let signature = signature(FILE, "outer").unwrap().unwrap();
    let ret = Converter::new(&signature.types, &mut structs).convert(signature.ret);
    assert_eq!(ret, Type::Ptr(Box::new(Type::Struct(StructId(0)))));
    assert_eq!(structs, [own]);
}

#[test]
fn source_lines() {
    let body = SOURCE
        .lines()
        .position(|l| l.contains("shape->origin.x *"))
        .unwrap() as u64
        + 1;
    let image = Image::parse(FILE).unwrap();
    let area = image.symbol_table().find(|s| s.name == "area").unwrap();
    for path in ["types.c", "/src/types.c", "src/types.c", "./types.c"] {
        let found = source_line(FILE, path, body, None).unwrap().statements;
        assert!(!found.is_empty(), "{path}");
        for statement in &found {
            let into = statement.vaddr - area.vaddr;
            assert!(into < area.size, "{path}");
            let column = Some(statement.column);
            let same = source_line(FILE, path, body, column).unwrap().statements;
            assert!(same.contains(statement));
        }
    }
    for (path, line) in [
        ("ypes.c", body),
        ("other.c", body),
        ("types.c", 1),
        ("", body),
    ] {
        assert_eq!(
            source_line(FILE, path, line, None).unwrap().statements,
            Vec::new(),
            "{path}:{line}"
        );
    }
}

#[test]
fn files_without_debug_information() {
    assert!(matches!(signature(b"text", "f"), Err(Error::Elf(_))));
    let cut = Image::parse(FILE).map(|image| image.section(".symtab").unwrap().offset);
    assert!(signature(&FILE[..cut.unwrap() as usize], "area").is_err());
}

/// A generator of numbers that are alike in each run.
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6364136223846793005)
        .wrapping_add(1442695040888963407);
    *state >> 33
}

#[test]
fn damaged_files_are_values() {
    // Decompressed first: damage to compressed bytes would show as such and nothing else.
    let image = Image::parse(FILE).unwrap();
    let sections = Sections::load(&image).unwrap().unwrap();
    let mut state = 1;
    for _ in 0..2000 {
        let mut file = FILE.to_vec();
        for _ in 0..=next(&mut state) % 8 {
            let at = next(&mut state) as usize % file.len();
            file[at] = next(&mut state) as u8;
        }
        let _ = signature(&file, "area");
        let _ = find_type(&file, "struct shape");
        let _ = source_line(&file, "types.c", 48, None);
    }
    for _ in 0..3000 {
        let damaged = sections.damaged(|bytes| {
            for _ in 0..next(&mut state) % 4 {
                if !bytes.is_empty() {
                    let at = next(&mut state) as usize % bytes.len();
                    bytes[at] = next(&mut state) as u8;
                }
            }
        });
        let dwarf = damaged.dwarf();
        let Ok(mut units) = Units::new(&dwarf) else {
            continue;
        };
        let place = find::function_named(&mut units, "area").ok().flatten();
        let signature = place.and_then(|place| read(&mut units, place).ok());
        let Some(signature) = signature else {
            continue;
        };
        let mut structs = Vec::new();
        let mut converter = Converter::new(&signature.types, &mut structs);
        for (_, ty) in &signature.params {
            converter.convert(*ty);
            assert!(signature.types.spelling(*ty).len() < 1 << 20);
        }
    }
}
