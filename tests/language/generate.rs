//! Random scripts that the checker accepts: all types, nested control flow, loops, maps.

use super::rich;
use std::fmt::Write as _;

/// Numbers that look random and are the same on each run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.roll(of.len() as u64)).expect("small")]
    }
}

/// One script under construction.
pub(crate) struct Script {
    dice: Dice,
    pub(crate) text: String,
    /// Names given to loop variables so far.
    names: u32,
    /// Loops around the current statement.
    pub(crate) loops: u32,
    /// Statements left: keeps programs small.
    budget: u32,
    /// The kernel can go over maps.
    pub(crate) maps: bool,
}

/// A script; with `maps` it may go over maps.
/// `depth` is how deep control flow nests.
pub(crate) fn script(seed: u64, maps: bool, depth: u32) -> String {
    let mut s = Script {
        dice: Dice::new(seed),
        text: String::new(),
        names: 0,
        loops: 0,
        budget: 0,
        maps,
    };
    s.text
        .push_str("struct S { int a; char b; short c[3]; unsigned f:3; unsigned g:7; long d; }\n");
    if s.dice.roll(3) == 0 {
        let len = s.dice.pick(&["32", "64", "100", "200", "1024"]);
        let _ = writeln!(s.text, "config = {{ max_strlen={len} }}");
    }
    s.text.push_str(rich::MACROS);
    let probes = 1 + s.dice.roll(2);
    for i in 0..probes {
        let kinds = [
            "BEGIN",
            "END",
            "interval:s:1",
            "profile:hz:99",
            "software:page-faults:100",
        ];
        let kind = if i == 0 {
            "BEGIN"
        } else {
            s.dice.pick(&kinds[1..])
        };
        s.text.push_str(kind);
        if s.dice.roll(3) == 0 {
            let cond = s.dice.pick(&[
                "pid != 1",
                "comm != \"x\" && @n[1] < 5",
                "!(uid > 3) || @w == \"y\"",
                "strcontains(comm, \"a\") || true",
            ]);
            let _ = write!(s.text, " /{cond}/");
        }
        s.text.push_str(" {\n");
        // Everything has its type from here on.
        s.text.push_str(
            "let $a = (int64)1; let $b = (int64)pid; let $u = (uint8)7; let $s = \"first\"; let $c = comm; \
             let $t = ((int64)1, \"two\"); let $r = *(struct S *)0;\n",
        );
        s.text.push_str(rich::VARIABLES);
        if i == 0 {
            s.text.push_str(rich::MAPS);
            s.text.push_str(
                "@n[(int64)1] = (int64)2; @s[comm] = (int64)1; @t[(int64)1, \"k\"] = \"value\"; @v = (int64)0; \
                 @w = \"scalar\"; @c = count(); @k[(int64)1] = count(); @h[\"x\"] = hist((int64)3); \
                 @l = lhist((int64)3, 0, 100, 10); @st[(int64)1] = stats((int64)4); @avg = avg((int64)5); \
                 @mn[(int64)2] = min((int64)3); @u[(int64)1] = (uint32)3; @tup[(int64)1] = ((int64)1, \"two\");\n",
            );
        }
        s.budget = 4 * depth;
        s.block(depth);
        s.text.push_str("}\n");
    }
    s.text
}

impl Script {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.dice.roll(sides)
    }

    pub(crate) fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        self.dice.pick(of)
    }

    pub(crate) fn name(&mut self) -> String {
        self.names += 1;
        format!("$x{}", self.names)
    }

    pub(crate) fn block(&mut self, depth: u32) {
        for _ in 0..=self.dice.roll(3) {
            if self.budget == 0 {
                break;
            }
            self.budget -= 1;
            if self.dice.roll(5) < 2 {
                self.rich(depth);
            } else {
                self.stmt(depth);
            }
        }
    }

    fn nested(&mut self, depth: u32) {
        self.text.push_str("{\n");
        self.block(depth - 1);
        self.text.push_str("}\n");
    }

    fn looped(&mut self, depth: u32) {
        self.loops += 1;
        self.nested(depth);
        self.loops -= 1;
    }

    pub(crate) fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push_str(";\n");
    }

    fn stmt(&mut self, depth: u32) {
        let (i, j, s, b) = (self.int(2), self.int(1), self.string(2), self.boolean(2));
        let kinds = if depth == 0 { 26 } else { 34 };
        let text = match self.dice.roll(kinds) {
            0 => format!("$a = {i}"),
            1 => format!(
                "$b {} {i}",
                self.dice
                    .pick(&["+=", "-=", "*=", "/=", "%=", "|=", "<<=", ">>="])
            ),
            2 => "$u++".into(),
            3 => format!("$s = {s}"),
            4 => format!("$t = ({i}, {s})"),
            5 => format!("@n[{i}] = {j}"),
            6 => format!("@s[{s}] {} {i}", self.dice.pick(&["=", "+=", "-=", "|="])),
            7 => format!("@t[{i}, {s}] = {}", self.string(1)),
            8 => format!("@v {} {i}", self.dice.pick(&["=", "+=", "-=", "*="])),
            9 => format!("@w = {s}"),
            10 => "@c = count()".into(),
            11 => format!("@k[{i}] = count()"),
            12 => format!("@h[{s}] = hist({i})"),
            13 => format!("@l = lhist({i}, 0, 100, 10)"),
            14 => format!("@st[{i}] = stats({j})"),
            15 => format!("@avg = avg({i})"),
            16 => format!("@mn[{i}] = min({j})"),
            17 => format!("@u[{i}]++"),
            18 => format!("@tup[{i}] = $t"),
            19 => format!("printf(\"%d %s %d %lx\\n\", {i}, {s}, {b}, {j})"),
            20 => {
                let what = [
                    "$t", "$r", "$s", "$a", "@n", "@v", "@c", "@tup[1]", "@w", "(1, $s)", "$r.c",
                    "@st[1]",
                ];
                format!("print({})", self.dice.pick(&what))
            }
            21 => format!("delete(@n, {i})"),
            22 => format!("printf(\"%s %s\\n\", {s}, {})", self.string(2)),
            23 => {
                let map = self.dice.pick(&["@n", "@k", "@h", "@c"]);
                format!("{}({map})", self.dice.pick(&["clear", "zero"]))
            }
            24 if self.loops > 0 => {
                let word = self.dice.pick(&["break", "continue"]).to_owned();
                let _ = writeln!(self.text, "if ({b}) {{ {word}; }}");
                return;
            }
            25 => {
                // `exit()` is refused inside of `for`.
                let words = ["return", "exit()", "exit(3)"];
                let some = if self.loops > 0 { 1 } else { words.len() };
                let word = self.dice.pick(&words[..some]).to_owned();
                let _ = writeln!(self.text, "if ({b}) {{ {word}; }}");
                return;
            }
            26 | 27 => {
                let _ = write!(self.text, "if ({b}) ");
                self.nested(depth);
                if self.dice.roll(2) == 0 {
                    self.text.push_str("else ");
                    self.nested(depth);
                }
                return;
            }
            28 => {
                let end = match self.dice.roll(3) {
                    0 => "5".into(),
                    1 => "300".into(),
                    _ => format!("({i})"),
                };
                let name = self.name();
                let _ = write!(self.text, "for ({name} : 0..{end}) ");
                self.looped(depth);
                return;
            }
            29 => {
                let name = self.name();
                let _ = writeln!(self.text, "{name} = 0;\nwhile ({name} < 5) {{ {name}++;");
                self.loops += 1;
                self.block(depth - 1);
                self.loops -= 1;
                self.text.push_str("}\n");
                return;
            }
            30 => {
                self.text.push_str("unroll(3) ");
                let loops = std::mem::take(&mut self.loops);
                self.nested(depth);
                self.loops = loops;
                return;
            }
            31 | 32 if self.maps => {
                let name = self.name();
                let map = self
                    .dice
                    .pick(&["@n", "@s", "@t", "@k", "@tup", "@u", "@mn"]);
                let _ = writeln!(self.text, "for ({name} : {map}) {{");
                let body = [
                    "print({})",
                    "print({}.0)",
                    "printf(\"%d\\n\", {}.1)",
                    "$a += 1",
                    "@any[{}] = 1",
                ];
                let pick = self
                    .dice
                    .pick(&body[..if matches!(map, "@t" | "@tup") { 2 } else { 4 }]);
                let line = pick.replace("{}", &name);
                self.line(&line);
                self.loops += 1;
                self.block(depth - 1);
                self.loops -= 1;
                self.text.push_str("}\n");
                return;
            }
            33 => {
                let name = self.name();
                let _ = writeln!(
                    self.text,
                    "let {name}; if (find(@n, {i}, {name})) {{ $a = {name};"
                );
                self.block(depth - 1);
                self.text.push_str("}\n");
                return;
            }
            _ => format!("$b = {i}"),
        };
        self.line(&text);
    }

    pub(crate) fn int(&mut self, depth: u32) -> String {
        if depth == 0 || self.dice.roll(3) == 0 {
            let atoms = [
                "$a",
                "$b",
                "(int64)$u",
                "(int64)pid",
                "(int64)cpu",
                "(int64)7",
                "(int64)-3",
                "@v",
                "$t.0",
                "(int64)$r.a",
                "(int64)$r.g",
                "(int64)$r.c[1]",
                "(int64)0x123456789abc",
            ];
            return self.dice.pick(&atoms).to_owned();
        }
        let (x, y) = (self.int(depth - 1), self.int(depth - 1));
        match self.dice.roll(14) {
            0..=3 => {
                let op = self
                    .dice
                    .pick(&["+", "-", "*", "/", "%", "&", "|", "^", ">>", "<<"]);
                format!("({x} {op} {y})")
            }
            4 => format!("(-{x})"),
            5 => format!("(~{x})"),
            6 => format!("@n[{x}]"),
            7 => format!("@s[{}]", self.string(depth - 1)),
            8 => format!("({} ? {x} : {y})", self.boolean(depth - 1)),
            9 => format!("(int64)strlen({})", self.string(depth - 1)),
            10 => format!(
                "(int64)({})({x})",
                self.dice.pick(&["int8", "uint16", "int32", "uint8"])
            ),
            11 if self.maps => format!("strstr({}, {})", self.string(depth - 1), self.string(0)),
            12 => format!("(int64)$r.c[$a + {x}]"),
            _ => "(int64)@u[1]".into(),
        }
    }

    pub(crate) fn boolean(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self
                .dice
                .pick(&[
                    "($a > 3)",
                    "(pid == 1)",
                    "true",
                    "(comm == \"x\")",
                    "($u < 9)",
                ])
                .to_owned();
        }
        let (x, y) = (self.int(depth - 1), self.int(depth - 1));
        match self.dice.roll(9) {
            0..=2 => {
                let op = self.dice.pick(&["==", "!=", "<", "<=", ">", ">="]);
                format!("({x} {op} {y})")
            }
            3 => format!(
                "({} && {})",
                self.boolean(depth - 1),
                self.boolean(depth - 1)
            ),
            4 => format!(
                "({} || {})",
                self.boolean(depth - 1),
                self.boolean(depth - 1)
            ),
            5 => format!("(!{})", self.boolean(depth - 1)),
            6 => format!(
                "({} {} {})",
                self.string(1),
                self.dice.pick(&["==", "!="]),
                self.string(1)
            ),
            7 if self.maps => format!("strcontains({}, {})", self.string(1), self.string(0)),
            _ => format!("has_key(@n, {x})"),
        }
    }

    pub(crate) fn string(&mut self, depth: u32) -> String {
        if depth == 0 || self.dice.roll(2) == 0 {
            let atoms = [
                "$s",
                "$c",
                "comm",
                "\"lit\"",
                "\"\"",
                "\"a longer literal of text\"",
                "@w",
                "$t.1",
            ];
            return self.dice.pick(&atoms).to_owned();
        }
        match self.dice.roll(5) {
            0 => "str($b)".into(),
            1 => "str($b, $a)".into(),
            2 => {
                let (x, y) = (self.string(depth - 1), self.string(depth - 1));
                format!("({} ? {x} : {y})", self.boolean(depth - 1))
            }
            3 => format!("@t[{}, {}]", self.int(depth - 1), self.string(0)),
            _ => "@w".into(),
        }
    }
}
