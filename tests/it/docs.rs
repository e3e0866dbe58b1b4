//! What the documents say is there, and what is there the documents say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::layering::table::FLOORS;
use crate::programs::package;

fn read(name: &str) -> String {
    fs::read_to_string(package().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![package().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    found
}

/// README, ARCHITECTURE and their like, and everything under `docs`.
fn documents() -> Vec<PathBuf> {
    let mut all = files("docs", "md");
    for entry in fs::read_dir(package()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            all.push(path);
        }
    }
    all
}

/// Whether a Rust file below this folder has a function of this name.
pub fn function_exists(folder: &str, name: &str) -> bool {
    let definition = format!("fn {name}(");
    files(folder, "rs").iter().any(|path| fs::read_to_string(path).unwrap().contains(&definition))
}

/// The lines of the table of attacks: their number, and the tests that show each, as file and name.
fn threats() -> BTreeMap<String, Vec<(String, String)>> {
    let mut rows = BTreeMap::new();
    for line in read("docs/reference/threats.md").lines() {
        let Some((before, shown)) = line.strip_suffix(" |").and_then(|line| line.rsplit_once(" | ")) else { continue };
        let number = before.trim_start_matches("| ").split(' ').next().unwrap().to_owned();
        if !number.ends_with(|last: char| last.is_ascii_digit()) {
            continue;
        }
        let (mut file, mut tests) = ("", Vec::new());
        for word in shown.split('`').skip(1).step_by(2) {
            match word.contains('/') {
                true => file = word,
                false => tests.push((file.to_owned(), word.to_owned())),
            }
        }
        assert!(rows.insert(number.clone(), tests).is_none(), "{number} is there twice");
    }
    rows
}

#[test]
fn every_attack_is_shown_by_a_test_that_exists() {
    for (number, tests) in threats() {
        assert!(!tests.is_empty(), "{number} is shown by nothing");
        for (file, name) in tests {
            let text = read(&file);
            let definition = format!("fn {name}(");
            let before =
                text.split_once(&definition).unwrap_or_else(|| panic!("{number}: `{name}` is not in {file}")).0;
            let attributes: Vec<&str> = before.lines().rev().take_while(|line| !line.is_empty()).collect();
            assert!(attributes.iter().any(|line| line.contains("test]")), "{number}: `{name}` in {file} is no test");
        }
    }
}

/// The numbers that follow `name.md ` somewhere in the code: `§3.4`, `C10`.
fn cited(name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let page = format!("{name}.md ");
    for path in ["src", "tests", "benches", "fuzz/fuzz_targets"].iter().flat_map(|folder| files(folder, "rs")) {
        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split(&page).skip(1) {
            let is_number = |letter: char| letter.is_ascii_alphanumeric() || letter == '§' || letter == '.';
            let words = rest.split([' ', ',', '–', ')', ':', '\n']).filter(|word| !matches!(*word, "" | "and"));
            let numbers = words.map(|word| word.trim_end_matches(['.', ';'])).take_while(|word| {
                word.chars().all(is_number) && word.contains(|letter: char| letter.is_ascii_digit())
            });
            found.extend(numbers.map(str::to_owned));
        }
    }
    found
}

#[test]
fn what_the_code_cites_is_there() {
    let attacks = threats();
    let cited_attacks = cited("threats");
    assert!(!cited_attacks.is_empty());
    for number in cited_attacks {
        assert!(attacks.contains_key(&number), "threats.md has no {number}");
    }
    let decision = read("docs/reference/decision.md");
    let cited_sections = cited("decision");
    assert!(!cited_sections.is_empty());
    for number in cited_sections {
        let (section, point) = match number.trim_start_matches('§').split_once('.') {
            Some((section, point)) => (section, Some(point)),
            None => (number.trim_start_matches('§'), None),
        };
        let from = format!("\n## {section}. ");
        let text = decision.split_once(&from).unwrap_or_else(|| panic!("decision.md has no {number}")).1;
        let text = text.split("\n## ").next().unwrap();
        let has_point = |point: &str| text.lines().any(|line| line.starts_with(&format!("{point}. ")));
        assert!(point.is_none_or(has_point), "decision.md has no {number}");
    }
}

/// Words that start with `portcullis_` and are spelled like a metric.
fn metric_names(text: &str) -> BTreeSet<String> {
    text.split(|letter: char| !(letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'))
        .filter(|word| word.starts_with("portcullis_") && word.len() > "portcullis_".len())
        .map(str::to_owned)
        .collect()
}

/// Metrics as the code names them: string literals under `src/telemetry`.
fn metrics_of_the_code() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files("src/telemetry", "rs") {
        if path.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for literal in text.split('"').skip(1).step_by(2) {
            if metric_names(literal).iter().any(|name| name == literal) {
                names.insert(literal.to_owned());
            }
        }
    }
    names
}

/// The first column of the tables in the page of metrics.
fn metrics_of_the_page() -> BTreeSet<String> {
    read("docs/reference/metrics.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned))
        .filter(|name| name.starts_with("portcullis_"))
        .collect()
}

#[test]
fn the_page_of_metrics_is_complete_and_true() {
    assert_eq!(metrics_of_the_page(), metrics_of_the_code());
}

#[test]
fn alerts_use_metrics_that_exist() {
    let known = metrics_of_the_page();
    for file in ["deploy/prometheus/alerts.yaml", "deploy/prometheus/alerts_test.yaml"] {
        for name in metric_names(&read(file)) {
            assert!(known.contains(&name), "{file} uses `{name}`");
        }
    }
}

#[test]
fn every_alert_has_a_test() {
    let tests = read("deploy/prometheus/alerts_test.yaml");
    for line in read("deploy/prometheus/alerts.yaml").lines() {
        if let Some(name) = line.trim().strip_prefix("- alert: ") {
            assert!(tests.contains(&format!("alertname: {name}\n")), "{name} is in no test");
        }
    }
}

#[test]
fn documents_keep_to_their_length() {
    for (name, limit) in [("README.md", 200), ("ARCHITECTURE.md", 250)] {
        let lines = read(name).lines().count();
        assert!(lines <= limit, "{name} has {lines} lines, more than {limit}");
    }
}

#[test]
fn the_picture_of_the_floors_is_the_table_that_is_enforced() {
    let mut drawn = BTreeMap::new();
    let text = read("ARCHITECTURE.md");
    let picture = text.split("```floors\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the picture");
    for line in picture.lines() {
        let (floor, rest) = line.split_once(' ').unwrap();
        let names = rest.trim().split("  ").next().unwrap();
        for name in names.split('·') {
            drawn.insert(name.trim().to_owned(), floor.parse::<u8>().unwrap());
        }
    }
    let table: BTreeMap<String, u8> = FLOORS.iter().map(|(name, floor)| ((*name).to_owned(), *floor)).collect();
    assert_eq!(drawn, table);
}

#[test]
fn links_lead_somewhere() {
    for page in documents() {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let at = page.parent().unwrap_or(Path::new("/")).join(target);
            assert!(at.exists(), "{}: `{link}` leads nowhere", page.display());
        }
    }
}

#[test]
fn decisions_are_numbered_without_a_gap() {
    let mut numbers: Vec<u32> = files("docs/decisions", "md")
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap()[..4].parse().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=u32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
}
