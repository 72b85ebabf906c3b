//! Parsing: round trips, error messages, and that no text makes it panic.

use super::parse;
use crate::lang::{ast::Item, print};

const SYNTAX: &str = include_str!("../../../tests/lang/syntax.bt");

/// The tree without places and numbers.
fn shape(source: &str) -> Option<String> {
    let script = parse(source).ok()?;
    let text = format!(
        "{:?}",
        (script.defs, script.config, script.imports, script.items)
    );
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest
        .find("Span {")
        .or(None)
        .into_iter()
        .chain(rest.find("ExprId("))
        .min()
    {
        out.push_str(&rest[..at]);
        let close = rest[at..].find(['}', ')']).unwrap_or(0);
        rest = &rest[at + close + 1..];
    }
    out.push_str(rest);
    Some(out)
}

fn errors(source: &str) -> Vec<String> {
    parse(source)
        .err()
        .unwrap_or_default()
        .into_iter()
        .map(|d| d.message)
        .collect()
}

#[test]
fn all_of_the_syntax_is_read() {
    assert_eq!(errors(SYNTAX), Vec::<String>::new());
}

#[test]
fn parse_of_print_is_the_same_tree() {
    let expressions = "begin { $x = -(-1) - (2 - 3) * (4 + 5) / (6 / 7); $y = !(1 && 2 || 3); $z = (1 ? 2 : 3) ? 4 : (5); \
        $a = (foo)(-1); $b = (uint8)(1 + 2); $c = (@m)[1]; $d = &(&$x); $e = ((1, 2), (a=1)); $f = (foo)({ 1 }); $g = *$p++; \
        $h = (struct x*)$p.y; $i = ((struct x*)$p).y; ({ 1 }) + 2; $j = sizeof((a)[1]) + sizeof((a)); \
        $k = (int64)(int32)(strstr($x, \"l\")) & 7; $l = (foo($x)) * 2; $m = (foo(1)) - 1 }";
    for source in [SYNTAX, expressions] {
        let before = shape(source).expect("parses");
        let printed = print(&parse(source).expect("parses"));
        let after = shape(&printed).unwrap_or_else(|| panic!("{printed}\n{:?}", errors(&printed)));
        assert_eq!(before, after, "{printed}");
    }
}

#[test]
fn several_errors_are_reported() {
    let source = "begin { $x = ; printf(\"a\" $y = 3; exit( }\nusdt:/a:b:c { $y + }\nend { 1 + }";
    let found = errors(source);
    assert!(found.len() >= 3, "{found:?}");
}

#[test]
fn messages() {
    for (source, want) in [
        ("begin { print(1) print(2) }", "expected `;` before `print`"),
        ("begin { pid = 1; }", "this cannot be assigned to"),
        ("begin { 1++ }", "`++` works on variables and maps only"),
        ("begin {", "block is not closed"),
        ("beginn { }", "unknown probe type `beginn`"),
        ("{ }", "expected a probe, found `{`"),
        (
            "begin { let @x = 1; }",
            "map `@x` is declared inside a block",
        ),
        ("begin { 'a' }", "there are no character literals"),
        ("begin { @x[] = 1 }", "`@x[]` lacks its key"),
        (
            "begin / 1 { }",
            "expected `/` at the end of the predicate, found `{`",
        ),
        (
            "begin exit() }",
            "expected `{` of the probe's action, found `exit`",
        ),
        (
            "config = { a = 1 } config = { b = 2 } begin { }",
            "there is more than one config block",
        ),
        ("begin { else { } }", "`else` without `if`"),
    ] {
        assert_eq!(
            errors(source).first().map(String::as_str),
            Some(want),
            "{source}"
        );
    }
}

#[test]
fn attach_points_are_cut_into_parts() {
    let points = |source: &str| {
        let script = parse(source).expect("parses");
        let mut out = Vec::new();
        for item in script.items {
            if let Item::Probe(probe) = item {
                for p in probe.points {
                    out.push(format!("{}|{}", p.provider, p.parts.join("|")));
                }
            }
        }
        out.join(" ")
    };
    assert_eq!(points("u:/usr//lib/*:f*/pid/{}"), "u|/usr//lib/*|f*");
    assert_eq!(
        points("name=usdt:./a-b/$1:x // c\n , /* d */ i:1s{}"),
        "usdt|./a-b/$1|x i|1s"
    );
    assert_eq!(
        points("uprobe:cpp:/bin/x:\"a::b(int, char)\" {}"),
        "uprobe|cpp|/bin/x|a::b(int, char)"
    );
    assert_eq!(points("BEGIN{} w:0x10:8:rw{}"), "BEGIN| w|0x10|8|rw");
}

#[test]
fn depth_is_bounded() {
    let deep = |open: &str, close: &str| {
        format!(
            "begin {{ $x = {}1{}; }}",
            open.repeat(5000),
            close.repeat(5000)
        )
    };
    for source in [
        deep("(", ")"),
        deep("-", ""),
        deep("{", "}"),
        deep("1+", ""),
        deep("(uint8)", ""),
        deep("1 ? 1 : ", ""),
        deep("f(", ")"),
        deep("", "[1]"),
        deep("", ".a"),
        format!("begin {{ {} }}", "if (1) { } else ".repeat(5000)),
        format!("begin {{ {} }}", "{".repeat(5000)),
        format!("struct a {{ {} }} x; }}", "struct {".repeat(5000)),
        format!("begin {{ let $x: int{}; }}", "*".repeat(5000)),
        format!("struct a {{ int {}x; }}", "*".repeat(5000)),
    ] {
        assert!(
            errors(&source).iter().any(|m| m == "nested too deeply"),
            "{} {:?}",
            &source[..60],
            errors(&source)
        );
    }
}

/// A small generator of numbers, so that failures repeat.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % n.max(1)
    }
}

#[test]
fn no_text_makes_it_panic() {
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    let words = [
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "@",
        "$",
        "$x",
        "@a",
        "1",
        "\"",
        "/",
        ",",
        ";",
        ".",
        "..",
        "->",
        "struct",
        "macro",
        "begin",
        "usdt:/a:b",
        "=",
        "*",
        "&",
        "let",
        "if",
        "else",
        "for",
        ":",
        "#define",
        "\n",
        "typeof",
        "sizeof",
        "uint8",
        "/*",
        "//",
        "'",
        "\\",
        "é",
        "0x",
        "1e",
        "#ifdef X",
        "#endif",
    ];
    let bytes: Vec<char> = SYNTAX.chars().collect();
    for round in 0..600 {
        let text: String = match round % 3 {
            0 => (0..rng.below(60))
                .map(|_| words[rng.below(words.len())].to_string() + [" ", ""][rng.below(2)])
                .collect(),
            1 => (0..rng.below(80))
                .filter_map(|_| char::from_u32(rng.below(300) as u32))
                .collect(),
            _ => {
                let mut text = bytes.clone();
                for _ in 0..rng.below(6) + 1 {
                    let at = rng.below(text.len());
                    let len = rng.below(20).min(text.len() - at);
                    match rng.below(3) {
                        0 => drop(text.drain(at..at + len)),
                        1 => text.insert(
                            at,
                            words[rng.below(words.len())].chars().next().unwrap_or(' '),
                        ),
                        _ => text.truncate(at.max(1)),
                    }
                }
                text.into_iter().collect()
            }
        };
        if let Ok(script) = parse(&text) {
            let printed = print(&script);
            assert_eq!(shape(&text), shape(&printed), "{text}\n---\n{printed}");
        }
    }
}
