//! A small BTF blob built here, and questions to it.

use super::*;

/// Builds BTF.
#[derive(Default)]
pub(crate) struct Build {
    types: Vec<u32>,
    strings: Vec<u8>,
    count: u32,
}

impl Build {
    pub(crate) fn new() -> Build {
        Build {
            strings: vec![0],
            ..Build::default()
        }
    }

    pub(crate) fn text(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let wanted = [b"\0", text.as_bytes(), b"\0"].concat();
        if let Some(at) = self.strings.windows(wanted.len()).position(|w| w == wanted) {
            return at as u32 + 1;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        at
    }

    /// A type; the number of members is counted from `rest`.
    pub(crate) fn ty(
        &mut self,
        kind: Kind,
        name: &str,
        flag: bool,
        word: u32,
        rest: &[u32],
    ) -> u32 {
        let each = match kind {
            Kind::Struct | Kind::Union | Kind::Enum64 => 3,
            Kind::Enum | Kind::FuncProto => 2,
            _ => usize::MAX,
        };
        let info = (kind as u32) << 24 | u32::from(flag) << 31 | (rest.len() / each) as u32;
        let name = self.text(name);
        self.types.extend([name, info, word]);
        self.types.extend(rest);
        self.count += 1;
        self.count
    }

    pub(crate) fn int(&mut self, name: &str, bytes: u32, encoding: u32) -> u32 {
        self.ty(
            Kind::Int,
            name,
            false,
            bytes,
            &[(encoding << 24) | (bytes * 8)],
        )
    }

    pub(crate) fn done(self) -> Btf {
        let (types, strings) = (self.types.len() as u32 * 4, self.strings.len() as u32);
        let mut out = 0xeb9fu16.to_ne_bytes().to_vec();
        out.extend([1, 0]);
        for word in [24, 0, types, types, strings] {
            out.extend(u32::to_ne_bytes(word));
        }
        out.extend(self.types.iter().flat_map(|word| word.to_ne_bytes()));
        out.extend(self.strings);
        Btf::new(out).unwrap()
    }
}

/// `struct task`, with all that a member can be, a function and a raw tracepoint.
pub(crate) fn sample() -> Btf {
    let mut b = Build::new();
    let int = b.int("int", 4, 1);
    let char = b.int("char", 1, 1);
    let long = b.int("unsigned long", 8, 0);
    let pid_t = b.ty(Kind::Typedef, "pid_t", false, int, &[]);
    let name = b.ty(Kind::Array, "", false, 0, &[char, int, 16]);
    let (x, y) = (b.text("x"), b.text("y"));
    let inner = b.ty(Kind::Union, "", false, 8, &[x, int, 0, y, long, 0]);
    let task = 8;
    let to_task = b.ty(Kind::Ptr, "", false, task, &[]);
    let (pid, comm, parent, low, high) = (
        b.text("pid"),
        b.text("comm"),
        b.text("parent"),
        b.text("low"),
        b.text("high"),
    );
    let is = b.ty(
        Kind::Struct,
        "task",
        true,
        48,
        &[
            pid,
            pid_t,
            0,
            low,
            int,
            3 << 24 | 32,
            high,
            int,
            5 << 24 | 35,
            comm,
            name,
            64,
            0,
            inner,
            192,
            parent,
            to_task,
            256,
        ],
    );
    assert_eq!(is, task);
    let (a, z) = (b.text("COLOR_A"), b.text("COLOR_Z"));
    b.ty(Kind::Enum, "color", true, 4, &[a, 1, z, u32::MAX]);
    let proto = b.ty(Kind::FuncProto, "", false, int, &[parent, to_task, x, long]);
    b.ty(Kind::Func, "wake", false, proto, &[]);
    let constant = b.ty(Kind::Const, "", false, char, &[]);
    b.ty(Kind::Ptr, "", false, constant, &[]);
    b.done()
}

#[test]
fn names_are_found_by_kind() {
    let btf = sample();
    let task = btf.find("task", &[Kind::Struct]).unwrap();
    assert_eq!(btf.node(task).unwrap().word, 48);
    assert_eq!(btf.find("task", &[Kind::Func]), None);
    assert_eq!(btf.find("tas", &[Kind::Struct]), None);
    let pid_t = btf.find("pid_t", &[Kind::Typedef]).unwrap();
    assert_eq!(btf.strip(pid_t), btf.find("int", &[Kind::Int]).unwrap());
    assert_eq!(btf.enumerator("COLOR_Z").map(|(_, v)| v), Some(-1));
    assert_eq!(btf.enumerator("COLOR_B"), None);
    let wake = btf.find("wake", &[Kind::Func]).unwrap();
    let proto = btf.prototype(wake).unwrap();
    let names: Vec<&str> = btf.params(&proto).map(|(name, _)| name).collect();
    assert_eq!(names, ["parent", "x"]);
}

#[test]
fn members_with_their_places() {
    let btf = sample();
    let task = btf
        .node(btf.find("task", &[Kind::Struct]).unwrap())
        .unwrap();
    let rows: Vec<_> = btf
        .members(&task)
        .map(|m| (m.name, m.bit, m.width))
        .collect();
    assert_eq!(
        rows,
        [
            ("pid", 0, 0),
            ("low", 32, 3),
            ("high", 35, 5),
            ("comm", 64, 0),
            ("", 192, 0),
            ("parent", 256, 0)
        ]
    );
}

#[test]
fn definitions_read_as_c() {
    let btf = sample();
    let printer = Printer(&btf);
    let task = btf.find("task", &[Kind::Struct]).unwrap();
    assert_eq!(
        printer.definition(task),
        "struct task {\n\tpid_t pid;\n\tint low: 3;\n\tint high: 5;\n\tchar comm[16];\n\tunion {\n\t\tint x;\n\t\t\
         unsigned long y;\n\t};\n\tstruct task *parent;\n}"
    );
    let color = btf.find("color", &[Kind::Enum]).unwrap();
    assert_eq!(
        printer.definition(color),
        "enum color {\n\tCOLOR_A = 1,\n\tCOLOR_Z = -1,\n}"
    );
    assert_eq!(printer.named(13, "s"), "const char *s");
}

#[test]
fn damage_is_no_btf_or_less_of_it() {
    assert!(Btf::new(b"".to_vec()).is_none());
    assert!(Btf::new(vec![0; 64]).is_none());
    let whole = sample();
    let bytes: Vec<u8> = whole.bytes().to_vec();
    for at in 0..bytes.len() {
        let mut hurt = bytes.clone();
        hurt[at] ^= 0xff;
        if let Some(btf) = Btf::new(hurt) {
            btf.find("task", &[Kind::Struct]);
            btf.enumerator("COLOR_A");
            for id in 0..20 {
                Printer(&btf).definition(id);
                btf.strip(id);
                btf.prototype(id);
            }
        }
    }
}
