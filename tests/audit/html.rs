//! The page of `audit show --html`, without a browser: well-formed, links that lead somewhere, nothing that could run.

use crate::{
    bundle,
    support::{Case, EXE, TempDir, run, text},
};
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    process::Command,
};

/// An element's start: its name and attributes.
struct Tag {
    name: String,
    attributes: BTreeMap<String, String>,
}

/// Reads a page as strictly as XML: every element closed in order, every attribute quoted. Contents of `style` and
/// `script` are left out.
fn elements(page: &str) -> Vec<Tag> {
    let mut rest = page.strip_prefix("<!doctype html>").expect("a doctype");
    let (mut open, mut all) = (Vec::new(), Vec::new());
    while let Some(at) = rest.find('<') {
        let before = &rest[..at];
        assert!(!before.contains('>'), "a loose `>` in {before:?}");
        for part in before.split('&').skip(1) {
            let entity = part.split(';').next().expect("a part");
            assert!(["amp", "lt", "gt", "quot"].contains(&entity), "&{entity}");
        }
        let end = rest[at..].find('>').expect("an end of a tag") + at;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "</{name}>");
            continue;
        }
        let whole = tag.strip_suffix('/');
        let inner = whole.unwrap_or(tag);
        let (name, mut words) = inner.split_once(' ').unwrap_or((inner, ""));
        let mut attributes = BTreeMap::new();
        while let Some((key, after)) = words.trim_start().split_once("=\"") {
            let (value, after) = after.split_once('"').expect("an end of a value");
            assert!(
                attributes
                    .insert(key.to_owned(), value.to_owned())
                    .is_none()
            );
            words = after;
        }
        assert!(words.trim().is_empty(), "<{tag}>");
        if whole.is_none() {
            open.push(name.to_owned());
            if ["style", "script"].contains(&name) {
                rest = &rest[rest.find("</").expect("its end")..];
            }
        }
        all.push(Tag {
            name: name.to_owned(),
            attributes,
        });
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    all
}

fn page(file: &str) -> String {
    let out = run(
        Command::new(EXE).args(["audit", "show", "--html", file]),
        b"",
    );
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    text(&out.stdout)
}

/// The elements, after all that holds for every page.
fn sound(page: &str) -> Vec<Tag> {
    let all = elements(page);
    let ids: Vec<&String> = all
        .iter()
        .filter_map(|tag| tag.attributes.get("id"))
        .collect();
    let unique: HashSet<&String> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "an id twice");
    for tag in &all {
        for (key, value) in &tag.attributes {
            assert!(
                !key.starts_with("on") && key != "style" && key != "src",
                "{key}"
            );
            if key == "href" {
                let to = value.strip_prefix('#').expect("a place on this page");
                assert!(unique.contains(&to.to_owned()), "no {value}");
            }
        }
        let known = [
            "html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "p", "details",
            "summary", "code", "ul", "ol", "li", "nav", "a", "main", "section", "article", "dl",
            "dt", "dd", "div", "output", "script",
        ];
        assert!(known.contains(&tag.name.as_str()), "<{}>", tag.name);
    }
    assert_eq!(all.iter().filter(|tag| tag.name == "script").count(), 1);
    for outside in ["http:", "https:", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("default-src 'none'"));
    all
}

#[test]
fn script_and_instructions_are_linked_both_ways() {
    let dir = TempDir::new("audit-html");
    let (file, json) = bundle(&dir, "a", crate::SCRIPT);
    let page = page(&file);
    let all = sound(&page);
    let rows: Vec<_> = all
        .iter()
        .filter(|tag| {
            tag.attributes
                .get("class")
                .is_some_and(|class| class == "i")
        })
        .collect();
    assert_eq!(rows.len(), json.matches("\"slot\":").count());
    let placed: Vec<_> = rows
        .iter()
        .filter_map(|row| row.attributes.get("data-l"))
        .collect();
    assert_eq!(placed.len(), rows.len());
    for line in placed {
        assert!(
            page.contains(&format!("<li id=\"L{line}\" data-has=\"1\">")),
            "{line}"
        );
    }
    // What is underlined of the script is what the instruction comes from.
    assert!(
        page.contains("data-l=\"3\" data-s=\"20,9\""),
        "str(arg3) in line 3"
    );
    assert!(page.contains("r1=pointer to the context"));
    assert!(page.contains("map `scratch`"));
    assert!(page.contains("at most 1025 bytes, line 3 `str(arg3)`"));
}

#[test]
fn nothing_in_a_script_becomes_markup() {
    let dir = TempDir::new("audit-html-bad");
    let nasty = "// </script><script>alert(1)</script> & <img src=x onerror=alert(1)> \u{202e}\u{1b}[2J\n\
        begin { @[\"</code><script>\"] = 1; printf(\"<b>%d</b>\\n\", 1); }\n";
    let (file, _) = bundle(&dir, "x\"><script>", nasty);
    let page = page(&file);
    sound(&page);
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;alert(1)"));
    assert!(page.contains("\\u{202e}\\u{1b}[2J"));
    // Nor do they reach the terminal.
    let script = dir.0.join("x\"><script>.bt");
    let more = fs::read_to_string(&script).expect("the script")
        + "end { /* \u{1b}[1A\u{202e} */ @a = 1; }\n";
    fs::write(&script, more).expect("write it");
    let out = text(&run(Command::new(EXE).args(["audit", "show"]).arg(&script), b"").stdout);
    assert!(out.contains("/* \\u{1b}[1A\\u{202e} */"), "{out}");
    assert!(
        !out.contains('\u{1b}') && !out.contains('\u{202e}'),
        "{out}"
    );
}

#[test]
fn a_page_of_two_thousand_instructions_is_small() {
    let dir = TempDir::new("audit-html-big");
    let probe = |n: usize| {
        let (map, least) = (n % 5, n * 10);
        format!(
            "usdt:EXE:net:inbound_message / arg4 > {least} /\n{{\n  printf(\"%s %d %d\\n\", str(arg3), arg4, arg0);\n  \
             @bytes{map}[str(arg3)] = sum(arg4);\n  @n{map}[arg0, pid] = count();\n}}\n"
        )
    };
    let script: String = (0..20).map(probe).collect();
    let (file, json) = bundle(&dir, "big", &script);
    let insns = json.matches("\"slot\":").count();
    assert!(insns >= 2000, "{insns}");
    let page = page(&file);
    sound(&page);
    println!("{insns} instructions: {} bytes of HTML", page.len());
    assert!(page.len() <= 1_000_000, "{} bytes", page.len());
}

#[test]
fn one_form_at_a_time() {
    Case {
        args: &["audit", "show", "--html", "--json", "x.json"],
        code: 2,
        stderr: &["--json"],
        ..Case::default()
    }
    .check();
}
