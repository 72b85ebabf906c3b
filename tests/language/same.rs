//! The compiler is a function: in two processes, whose hash maps have two orders, a script becomes the same bytes.

use crate::generate;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const EXE: &str = env!("CARGO_BIN_EXE_baretrace");

/// Random scripts besides those of the repository.
const RANDOM: u64 = 24;

/// All that would go into the kernel, as `check -o` writes it.
fn bundle(script: &Path, to: &Path) -> Vec<u8> {
    let out = Command::new(EXE)
        .arg("check")
        .arg("-o")
        .args([to, script])
        // Those that want parameters.
        .args(["0", "0", "0"])
        .output()
        .expect("start it");
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{}: {stderr}", script.display());
    fs::read(to).expect("the bundle")
}

#[test]
fn two_processes_make_the_same_bytes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = std::env::temp_dir().join(format!("baretrace-same-{}", std::process::id()));
    fs::create_dir(&dir).expect("a directory");
    let mut texts = Vec::new();
    for from in ["examples/scripts", "tests/language/loops"] {
        let entries = fs::read_dir(root.join(from)).expect("the scripts");
        let paths = entries.map(|entry| entry.expect("a script").path());
        let mut paths: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|ext| ext == "bt"))
            .collect();
        paths.sort();
        let read = |path: &PathBuf| fs::read_to_string(path).expect("read it");
        texts.extend(paths.iter().map(read));
    }
    assert!(texts.len() >= 30, "{} scripts", texts.len());
    texts.extend((1..=RANDOM).map(|seed| generate::script(seed, true, 2)));
    let (mut differ, mut compared) = (Vec::new(), 0);
    for (number, text) in texts.iter().enumerate() {
        let script = dir.join(format!("{number}.bt"));
        fs::write(&script, text.replace("TARGET", EXE)).expect("write it");
        let [first, second] = [0, 1].map(|_| bundle(&script, &dir.join("bundle")));
        compared += first.len();
        if first != second {
            differ.push(text);
        }
    }
    fs::remove_dir_all(&dir).expect("remove it");
    assert_eq!(differ, Vec::<&String>::new());
    assert!(compared > 100_000, "{compared} bytes");
}
