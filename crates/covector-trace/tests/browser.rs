//! The page in a browser: opened from disk, unfolded, pointed at, filmed; on a desk and on a phone.
//!
//! Needs Chromium in the path (or in the variable `CHROMIUM`); where there is none, the test says so and passes.

mod drawn;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use covector_trace::draw::diff;

const CHECK: &str = include_str!("browser/check.js");

/// Collects what goes wrong from the very beginning.
const WATCH: &str = "<script>window.problems = [];\
    addEventListener('error', (e) => problems.push(e.message || 'something did not load'));\
    addEventListener('securitypolicyviolation', (e) => problems.push('refused: ' + e.blockedURI));\
    for (const kind of ['error', 'warn']) console[kind] = (...all) => problems.push(all.join(' '));</script>";

fn chromium() -> Option<PathBuf> {
    let named = env::var_os("CHROMIUM").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let in_path = env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    named.into_iter().chain(in_path).find(|file| file.is_file())
}

/// What the browser finds wrong with a page.
fn report(browser: &Path, name: &str, html: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder for the page");
    let file = folder.join("page.html");
    fs::write(&file, html).expect("the page is written");
    let profile = folder.join(format!("profile-{}", std::process::id()));
    let out = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,860",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", file.display()))
        .output()
        .expect("Chromium starts");
    let _ = fs::remove_dir_all(&profile);
    let dom = String::from_utf8_lossy(&out.stdout).into_owned();
    let found = dom.rsplit_once("<pre id=\"report\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    found.map_or_else(|| format!("no report: {}", String::from_utf8_lossy(&out.stderr)), |(text, _)| text.to_owned())
}

/// The page with the check in it.
fn checked(page: &str) -> String {
    let page = page.replacen("<head>", &format!("<head>{WATCH}"), 1);
    page.replacen("</body>", &format!("<script>{CHECK}</script></body>"), 1)
}

#[test]
fn pages_open_from_disk_unfold_tell_and_play_on_a_desk_and_on_a_phone() {
    let Some(browser) = chromium() else {
        eprintln!("skipped: no Chromium in the path; set CHROMIUM to one to test the page");
        return;
    };
    let both = diff(&drawn::convolutions(false), &drawn::convolutions(true));
    let pages = [
        ("lesson", drawn::lesson()),
        ("attention", drawn::attention()),
        ("gpt", drawn::gpt(&drawn::with_gradients())),
        ("difference", both),
    ];
    for (name, picture) in pages {
        let page = checked(&picture.html(name));
        assert_eq!(report(&browser, name, &page), "as it should be", "{name}");
        // A frame as wide as a phone stands for one: windows are not made that narrow.
        let inner = page.replace('&', "&amp;").replace('"', "&quot;");
        let phone = format!("<body><iframe style=\"width:390px;height:844px\" srcdoc=\"{inner}\"></iframe></body>");
        assert_eq!(report(&browser, &format!("{name}-phone"), &phone), "as it should be", "{name} on a phone");
    }
}
