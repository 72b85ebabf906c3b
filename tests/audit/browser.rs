//! The page of `audit show --html` in a real browser, as wide as a phone, if there is one.

use crate::{
    SCRIPT, bundle,
    support::{EXE, TempDir, run, text},
};
use std::{fs, process::Command};

/// A page around the page: it looks at it and clicks in it, which the page's own content policy keeps others from.
const AROUND: &str = r#"<!doctype html><iframe src="page.html" width="390" height="844"></iframe><pre></pre>
<script>
const frame = document.querySelector('iframe');
frame.onload = () => {
  const page = frame.contentDocument, out = [];
  const all = (what) => Array.from(page.querySelectorAll(what));
  const top = (what) => page.querySelector(what).getBoundingClientRect().top;
  out.push('beyond the edge: ' + (page.documentElement.scrollWidth - frame.contentWindow.innerWidth));
  out.push('script above code: ' + (top('#script') < top('#code')));
  const line = page.getElementById('L3');
  line.firstElementChild.click();
  const made = all('.i[data-l="3"]');
  out.push('line 3 marks all of its rows: ' + (made.length > 0 && made.every((row) => row.classList.contains('on'))));
  out.push('and no other: ' + (all('.i.on').length === made.length));
  const row = page.querySelector('.i[data-l="4"][data-s]');
  row.firstElementChild.click();
  out.push('a row marks: ' + all('#script li.on').map((one) => one.id));
  out.push('underlined: ' + all('mark').map((one) => one.textContent));
  out.push('said: ' + page.querySelector('output').textContent);
  row.firstElementChild.click();
  out.push('let go: ' + all('.on').length);
  document.querySelector('pre').textContent = out.join('\n');
};
</script>
"#;

/// Names that the browser goes by.
const BROWSERS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

#[test]
fn the_page_works_on_a_phone() {
    let works = |name: &&&str| {
        let output = Command::new(name).arg("--version").output();
        output.is_ok_and(|output| output.status.success())
    };
    let Some(browser) = BROWSERS.iter().find(works) else {
        println!("skipped: none of {} is here", BROWSERS.join(", "));
        return;
    };
    let dir = TempDir::new("audit-browser");
    let (file, _) = bundle(&dir, "a", SCRIPT);
    let page = run(
        Command::new(EXE).args(["audit", "show", "--html", &file]),
        b"",
    );
    fs::write(dir.0.join("page.html"), &page.stdout).expect("write the page");
    fs::write(dir.0.join("around.html"), AROUND).expect("write the page around it");
    let profile = dir.0.join("profile");
    let out = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        // Both pages are files, which are strangers to each other otherwise.
        .args(["--disable-web-security", "--allow-file-access-from-files"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("file://{}/around.html", dir.0.display()))
        .output()
        .expect("start the browser");
    let dom = text(&out.stdout);
    for want in [
        "beyond the edge: 0\n",
        "script above code: true\n",
        "line 3 marks all of its rows: true\n",
        "and no other: true\n",
        "a row marks: L4\n",
        "underlined: ",
        "line 4",
        "let go: 0",
    ] {
        assert!(
            dom.contains(want),
            "no `{want}` in {dom}\n{}",
            text(&out.stderr)
        );
    }
    assert!(!dom.contains("underlined: \n"), "{dom}");
}
