//! The rules of the source tree that no compiler checks.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::root;

/// A source file: its path from the root, and its text.
struct Source {
    path: String,
    text: String,
}

/// Every file below a directory of the repository with one of these endings.
fn sources(directory: &str, endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root().join(directory), endings, &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!found.is_empty(), "nothing in {directory}");
    found
}

fn collect(path: &Path, endings: &[&str], found: &mut Vec<Source>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("is readable") {
            collect(&entry.expect("is readable").path(), endings, found);
        }
    } else if path
        .extension()
        .is_some_and(|end| endings.iter().any(|one| end == *one))
    {
        let relative = path.strip_prefix(root()).expect("is below the root");
        found.push(Source {
            path: relative.to_str().expect("is UTF-8").to_owned(),
            text: fs::read_to_string(path).expect("is readable"),
        });
    }
}

/// The Rust files of the library and the binary.
fn rust() -> Vec<Source> {
    sources("src", &["rs"])
}

impl Source {
    /// Whether it is the file or one of the directory of this module, `src/stack`.
    fn is_of(&self, module: &str) -> bool {
        self.path == format!("{module}.rs") || self.path.starts_with(&format!("{module}/"))
    }

    /// Places with this text in code, comments left out.
    fn places(&self, text: &str) -> Vec<String> {
        let lines = self.text.lines().enumerate();
        let code = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
        let found = code.filter(|(_, line)| line.contains(text));
        found
            .map(|(number, line)| format!("{}:{}: {}", self.path, number + 1, line.trim()))
            .collect()
    }
}

/// Asserts that none of these texts is in code outside of some modules, but is in one of those.
#[track_caller]
fn only_in(texts: &[&str], modules: &[&str]) {
    let (inside, outside): (Vec<_>, Vec<_>) = rust()
        .into_iter()
        .partition(|source| modules.iter().any(|module| source.is_of(module)));
    for text in texts {
        let places: Vec<String> = outside
            .iter()
            .flat_map(|source| source.places(text))
            .collect();
        assert!(
            places.is_empty(),
            "`{text}` belongs into {modules:?} only: {places:#?}"
        );
    }
    let used = texts
        .iter()
        .any(|text| inside.iter().any(|source| !source.places(text).is_empty()));
    assert!(
        used,
        "{texts:?} is nowhere in {modules:?}: the rule has lost its object"
    );
}

/// Asserts that none of these texts is in the code of some modules.
#[track_caller]
fn never_in(texts: &[&str], modules: &[&str]) {
    for module in modules {
        let sources = rust();
        // Tests may stand in for what the module itself must not know.
        let mut of_module = sources
            .iter()
            .filter(|source| source.is_of(module) && !source.path.ends_with("/tests.rs"))
            .peekable();
        assert!(of_module.peek().is_some(), "there is no {module}");
        for source in of_module {
            for text in texts {
                let places = source.places(text);
                assert!(
                    places.is_empty(),
                    "`{text}` does not belong into {module}: {places:#?}"
                );
            }
        }
    }
}

#[test]
fn the_sandbox_shares_nothing_with_what_it_tests() {
    for source in rust().iter().filter(|source| source.is_of("src/sandbox")) {
        let places = [source.places("crate::"), source.places("mtlsgw::")].concat();
        let foreign: Vec<_> = places
            .iter()
            .filter(|place| !place.contains("crate::sandbox"))
            .collect();
        assert!(foreign.is_empty(), "{foreign:#?}");
        // `super` from the topmost file leads out of the module.
        if source.path == "src/sandbox.rs" {
            assert_eq!(source.places("super::"), [""; 0]);
        }
    }
}

#[test]
fn yaml_is_read_in_one_module() {
    only_in(&["serde_yaml"], &["src/stack"]);
}

#[test]
fn one_module_prints() {
    only_in(&["println!", "print!(", "stdout()"], &["src/view"]);
    never_in(
        &["dbg!("],
        &[
            "src/main",
            "src/lib",
            "src/command",
            "src/resource",
            "src/sandbox",
        ],
    );
}

#[test]
fn waits_go_by_the_clock_that_can_be_scaled() {
    only_in(
        &["time::sleep", "thread::sleep"],
        &["src/aws/clock", "src/sandbox"],
    );
}

#[test]
fn what_decides_knows_nothing_of_aws() {
    let modules = [
        "src/stack",
        "src/wiring",
        "src/plan",
        "src/diff",
        "src/trust",
        "src/pki",
        "src/view",
        "src/error",
    ];
    never_in(&["aws_sdk", "aws_config", "aws_smithy"], &modules);
    never_in(
        &["async fn", ".await"],
        &[
            "src/stack",
            "src/wiring",
            "src/plan",
            "src/diff",
            "src/trust",
            "src/crl_source/choice",
            "src/pki",
        ],
    );
}

/// Asserts that a module uses nothing of the crate but itself and some others.
#[track_caller]
fn stands_on(module: &str, others: &[&str]) {
    let sources = rust();
    let of_module = sources.iter().filter(|source| source.is_of(module));
    let places: Vec<_> = of_module
        .flat_map(|source| source.places("crate::"))
        .collect();
    let allowed = |place: &str| others.iter().any(|other| place.contains(other));
    let foreign: Vec<_> = places.iter().filter(|place| !allowed(place)).collect();
    assert!(foreign.is_empty(), "{foreign:#?}");
}

#[test]
fn trust_stands_alone() {
    stands_on("src/trust", &["crate::trust"]);
}

#[test]
fn pki_stands_on_trust_and_prints_nothing() {
    stands_on("src/pki", &["crate::pki", "crate::trust"]);
    never_in(&["clap", "println!", "crate::view"], &["src/pki"]);
}

#[test]
fn what_codes_mean_depends_on_nothing_but_the_rules_of_trust() {
    stands_on(
        "src/explain",
        &[
            "crate::explain",
            "crate::trust",
            "crate::hint",
            "crate::stack",
        ],
    );
}

#[test]
fn only_the_sandbox_makes_certificates_with_a_library_that_mangles_names() {
    only_in(&["rcgen::"], &["src/sandbox", "src/trust"]);
}

#[test]
fn every_kind_of_resource_is_listed() {
    let sources = sources("src/resource", &["rs"]);
    let kinds = sources
        .iter()
        .filter(|source| source.text.contains("\nimpl Resource for "));
    let name = |source: &Source| {
        let name = source.path.trim_start_matches("src/resource/");
        name.trim_end_matches(".rs").replace('/', "::")
    };
    let kinds: BTreeSet<String> = kinds.map(name).collect();
    let registry = fs::read_to_string(root().join("src/resource.rs")).expect("is there");
    let (_, list) = registry
        .split_once("\nkinds! {")
        .expect("the list is there");
    let (list, _) = list.split_once("\n}").expect("it ends");
    let listed = list
        .lines()
        .filter_map(|line| line.trim().split_once(": ")?.1.rsplit_once("::"));
    let listed: BTreeSet<String> = listed.map(|(module, _)| module.to_owned()).collect();
    assert_eq!(kinds, listed);
}

#[test]
fn every_kind_of_resource_says_which_permissions_it_needs() {
    for source in sources("src/resource", &["rs"]) {
        if source.text.contains("\nimpl Resource for ") {
            assert!(source.text.contains("\n//! IAM: "), "{}", source.path);
        }
    }
}

#[test]
fn every_source_file_says_what_it_is() {
    for source in rust().into_iter().chain(sources("tests", &["rs"])) {
        assert!(source.text.starts_with("//! "), "{}", source.path);
    }
}

#[test]
fn nothing_is_left_to_be_done_or_tied_to_a_tracker() {
    // Put together, so that this file does not find itself.
    let markers = [
        "TO|DO",
        "FIX|ME",
        "XX|X",
        "unimple|mented!",
        "todo|!(",
        "iss|ue #",
        "is|sues/",
    ];
    let markers = markers.map(|marker| marker.replace('|', ""));
    let endings = ["rs", "md", "yaml", "toml", "sh", "py"];
    for directory in [
        "src",
        "tests",
        "docs",
        "examples",
        "stacks",
        "README.md",
        "CHANGELOG.md",
        "Cargo.toml",
    ] {
        for source in sources(directory, &endings) {
            for (number, line) in source.text.lines().enumerate() {
                let found = markers.iter().find(|marker| line.contains(*marker));
                assert_eq!(found, None, "{}:{}: {line}", source.path, number + 1);
            }
        }
    }
}
