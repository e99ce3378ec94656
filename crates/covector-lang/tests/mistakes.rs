//! Typical mistakes: the error's text, the marked axes, and that every proposed fix checks.

mod markdown;

use covector_lang::{Program, Report};
use markdown::{Case, cases, compare, fault, files};

fn all() -> Vec<(String, Case)> {
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        cases(&text).into_iter().map(move |case| (name.clone(), case)).collect::<Vec<_>>()
    };
    files("mistakes").into_iter().flat_map(read).collect()
}

#[test]
fn the_texts_are_as_written() {
    let shown = |case: &Case| fault(case).map_or("no error".into(), |r| r.render(false)) + "\n";
    let wrong: Vec<String> = files("mistakes").iter().flat_map(|path| compare(path, shown)).collect();
    assert!(
        wrong.is_empty(),
        "{} texts differ (COVECTOR_UPDATE=1 writes them anew):\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn there_are_sixty_and_twenty_are_from_reports() {
    assert!(all().len() >= 60, "{}", all().len());
    let text: String = files("mistakes").iter().map(|p| std::fs::read_to_string(p).unwrap()).collect();
    let reports = text.lines().filter(|l| l.starts_with("From https://github.com/")).count();
    assert!(reports >= 20, "{reports}");
}

/// `x 1; W 0`
fn marked(report: &Report) -> String {
    let Some(shapes) = report.fault.shapes() else { return String::new() };
    let row = |r: &covector_lang::Row| r.marked.iter().map(|a| format!("{} {a}", r.name)).collect::<Vec<_>>();
    shapes.rows.iter().flat_map(row).collect::<Vec<_>>().join("; ")
}

#[test]
fn the_marked_axes_are_those_that_clash() {
    for (file, case) in all() {
        let report = fault(&case).unwrap_or_else(|| panic!("{file}: {}: no error", case.title));
        assert_eq!(marked(&report), case.fact("Marked").unwrap_or_default(), "{file}: {}", case.title);
    }
}

#[test]
fn every_proposed_fix_checks() {
    let mut proposed = 0;
    for (file, case) in all() {
        let report = fault(&case).expect("checked by another test");
        let fixes: Vec<_> = report.fault.help.iter().filter_map(|h| h.fix.as_ref()).collect();
        match case.fact("Fixes") {
            Some(n) => assert_eq!(fixes.len(), n.parse::<usize>().unwrap(), "{file}: {}", case.title),
            None => assert!(!fixes.is_empty(), "{file}: {}: nothing is proposed", case.title),
        }
        for (span, with) in fixes {
            let fixed = format!("{}{with}{}", &case.program[..span.start], &case.program[span.end..]);
            let next = Program::parse("fixed.cv", &fixed).and_then(|p| p.check(&case.numbers()).map(drop));
            match (next, case.fact("Further")) {
                (Ok(()), None) => {}
                (Err(next), Some(_)) => assert_ne!(next.fault.message, report.fault.message, "{file}: {fixed}"),
                (Ok(()), Some(_)) => panic!("{file}: {}: nothing further is wrong", case.title),
                (Err(e), None) => panic!("{file}: {}: the fix does not check:\n{fixed}{}", case.title, e.render(false)),
            }
            proposed += 1;
        }
    }
    assert!(proposed >= 80, "{proposed}");
}

#[test]
fn no_number_of_the_checking_runs_is_seen() {
    for (file, case) in all() {
        let report = fault(&case).expect("checked by another test");
        let text = report.render(false) + &report.json().to_string();
        // All sizes of the runs contain a prime from 211 on; the cases name no such numbers but round ones.
        let numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok());
        for n in numbers.filter(|n| *n >= 211) {
            assert!(case.program.contains(&n.to_string()) || known(&case, n), "{file}: {}: {n}\n{text}", case.title);
        }
    }
}

/// True for products and quotients of the numbers in a program.
fn known(case: &Case, n: u64) -> bool {
    let given = case.numbers();
    let mut numbers: Vec<u64> = case
        .program
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse().ok())
        .chain(given.values().map(|x| *x as u64))
        .filter(|n| *n > 0)
        .collect();
    numbers.sort_by_key(|n| std::cmp::Reverse(*n));
    let mut rest = n;
    for _ in 0..8 {
        if let Some(d) = numbers.iter().find(|d| **d > 1 && rest.is_multiple_of(**d)) {
            rest /= d;
        }
    }
    rest == 1 || numbers.iter().any(|m| m % n == 0) || n as usize <= case.program.len()
}
