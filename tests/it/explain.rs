//! `explain`: what it knows, and that it knows all that the tool can meet.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::{Scenario, root};

#[test]
fn a_code_is_explained_with_cause_fix_and_source() {
    let scenario = Scenario::empty();
    for code in ["ClientCertCrlHit", "failed:clientcertcrlhit"] {
        let outcome = scenario.run_bare(["explain", code]).ok();
        assert!(
            outcome.stdout.starts_with("ClientCertCrlHit ("),
            "{outcome}"
        );
        let outcome = outcome.says("cause:").says("fix:").says("source:");
        outcome.says("`trust_store.crls`");
    }
    let document = scenario.run_bare(["explain", "502", "--json"]).ok().json();
    assert_eq!(document["format_version"], "1");
    let entry = &document["entries"][0];
    assert_eq!(
        (&entry["code"], &entry["kind"]),
        (&"502".into(), &"status".into())
    );
    assert_eq!(entry["stack_key"], "target_group");
}

#[test]
fn a_message_is_explained_as_it_was_pasted() {
    let scenario = Scenario::empty();
    let forbidden = scenario.run_bare(["explain", r#"{"message":"Forbidden"}"#]);
    forbidden.ok().says("Forbidden (What clients see)");
    // Without quotes a shell makes several arguments of it.
    let words = ["explain", "Missing", "Authentication", "Token"];
    scenario
        .run_bare(words)
        .ok()
        .says("no such path and method");
    scenario
        .run_bare(["explain", "403"])
        .ok()
        .says("its message tells why");
    let reset = "curl: (56) Recv failure: Connection reset by peer";
    let reset = scenario.run_bare(["explain", reset]).ok();
    reset.says("`mtlsgw logs` has the reason");
    let denied =
        "User: arn:aws:iam::123456789012:user/x is not authorized to perform: ec2:DescribeVpcs";
    scenario
        .run_bare(["explain", denied])
        .ok()
        .says("AccessDenied");
}

#[test]
fn an_unknown_code_leads_to_the_nearest() {
    let scenario = Scenario::empty();
    let unknown = scenario.run_bare(["explain", "TrustStoreNotRedy"]);
    unknown.exits(1).says("did you mean `TrustStoreNotReady`?");
    let nonsense = scenario.run_bare(["explain", "\u{1b}[2Jbananas"]).exits(1);
    assert!(!nonsense.stderr.contains('\u{1b}'), "{nonsense}");
    nonsense.says("`mtlsgw explain` lists all codes");
}

#[test]
fn the_list_holds_all_that_the_document_holds() {
    let scenario = Scenario::empty();
    let listed = scenario.run_bare(["explain"]).ok().stdout;
    let document = scenario.run_bare(["explain", "--json"]).ok().json();
    let entries = document["entries"].as_array().expect("is a list");
    assert!(entries.len() > 250, "{}", entries.len());
    for entry in entries {
        let code = entry["code"].as_str().expect("is text");
        assert!(listed.contains(&format!("\n  {code}\n")), "{code}");
    }
}

#[test]
fn the_page_in_docs_is_what_the_binary_prints() {
    let printed = Scenario::empty().run_bare(["explain", "--markdown"]).ok();
    let kept = fs::read_to_string(root().join("docs/explain.md")).expect("is there");
    assert!(
        printed.stdout == kept,
        "run `cargo run -- explain --markdown > docs/explain.md`"
    );
}

/// Texts of a directory's Rust files, without their tests.
fn sources(directory: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(directory).expect("is readable") {
        let path = entry.expect("is readable").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).expect("is readable");
            into.push(
                text.split("#[cfg(test)]")
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
    }
}

/// Texts in quotes of which the line before the opening quote ends in one of these.
fn quoted_after<'a>(text: &'a str, before: &[&str]) -> Vec<&'a str> {
    let starts = before.iter().flat_map(|before| {
        text.match_indices(before)
            .map(move |(at, _)| at + before.len())
    });
    let quoted = starts.filter_map(|at| text[at..].split('"').next());
    quoted.collect()
}

#[test]
fn every_code_that_the_source_asks_for_or_warns_with_is_explained() {
    let mut texts = Vec::new();
    for directory in [
        "aws", "command", "resource", "session", "stack", "trust", "wiring",
    ] {
        sources(&root().join("src").join(directory), &mut texts);
    }
    for file in ["lock.rs", "facts.rs", "session.rs", "crl_source.rs"] {
        texts.push(fs::read_to_string(root().join("src").join(file)).expect("is there"));
    }
    let marks = [".is(\"", ".is_code(\"", ".warn(\"", "warn(\"", "code: \""];
    let mut codes = BTreeSet::new();
    for text in &texts {
        codes.extend(quoted_after(text, &marks).into_iter().map(str::to_owned));
        for (at, _) in text.match_indices("absent_is(") {
            let call = &text[at..text[at..].find(");").map_or(text.len(), |end| at + end)];
            codes.extend(call.split('"').nth(1).map(str::to_owned));
        }
        for (at, _) in text.match_indices("tolerate(") {
            let call = &text[at..text[at..]
                .find([';', '}'])
                .map_or(text.len(), |end| at + end)];
            let list = call.rsplit_once("&[").map_or("", |(_, list)| list);
            codes.extend(list.split('"').skip(1).step_by(2).map(str::to_owned));
        }
        // The hints of AWS's errors.
        if let Some((_, hints)) = text.split_once("pub fn hint(&self)") {
            let arms = hints.split("pub(crate) fn").next().unwrap_or_default();
            let coded = arms.lines().filter(|line| line.contains("=>"));
            for line in coded {
                let left = line.split("=>").next().unwrap_or_default();
                let words = left.split('"').skip(1).step_by(2);
                codes.extend(words.filter(|word| word.len() > 8).map(str::to_owned));
            }
        }
    }
    let is_code = |code: &str| {
        !code.contains([' ', '{']) && code.contains(|c: char| c.is_uppercase() || "_-".contains(c))
    };
    codes.retain(|code| is_code(code));
    assert!(codes.len() > 50, "{codes:?}");
    let document = Scenario::empty()
        .run_bare(["explain", "--json"])
        .ok()
        .json();
    let entries = document["entries"].as_array().expect("is a list");
    let bare = |code: &str| {
        let code = code.to_lowercase();
        code.strip_suffix("exception").unwrap_or(&code).to_owned()
    };
    let known: BTreeSet<String> = entries
        .iter()
        .map(|entry| bare(entry["code"].as_str().expect("is text")))
        .collect();
    let unknown: Vec<&String> = codes
        .iter()
        .filter(|code| !known.contains(&bare(code)))
        .collect();
    assert!(unknown.is_empty(), "without an entry: {unknown:?}");
}
