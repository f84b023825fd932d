//! Every example is complete, and told of where people look for it.

use std::fs;

use crate::support::{self, root};

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_example_has_a_stack_and_a_page_and_is_named_in_the_readme() {
    let readme = read("README.md");
    for example in support::directories("examples") {
        let name = example
            .file_name()
            .and_then(|name| name.to_str())
            .expect("is UTF-8");
        let files = fs::read_dir(&example).expect("is readable");
        let files = files.map(|entry| entry.expect("is readable").file_name());
        let files: Vec<String> = files.filter_map(|name| name.into_string().ok()).collect();
        assert!(
            files.contains(&"stack.yaml".to_owned()),
            "{name}: {files:?}"
        );
        let page = read(&format!("examples/{name}/README.md"));
        for file in files
            .iter()
            .filter(|file| *file != "README.md" && !file.starts_with('.'))
        {
            assert!(
                page.contains(file.as_str()),
                "{name}/README.md does not tell of {file}"
            );
        }
        assert!(
            readme.contains(&format!("examples/{name}")),
            "README.md does not name {name}"
        );
    }
}

#[test]
fn every_stack_is_described() {
    let page = read("stacks/README.md");
    for file in support::files("stacks", "yaml") {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .expect("is UTF-8");
        assert!(
            page.contains(&format!("`{name}`")),
            "stacks/README.md does not name {name}"
        );
    }
    assert!(read("README.md").contains("stacks/"));
}

#[test]
fn every_variable_of_the_stacks_has_a_default_and_is_described() {
    let pages = read("stacks/README.md");
    let mut found = 0;
    for file in support::files("stacks", "yaml") {
        let text = fs::read_to_string(&file).expect("is readable");
        for (_, rest) in text
            .match_indices("${env:")
            .map(|(at, start)| text.split_at(at + start.len()))
        {
            let (variable, _) = rest.split_once('}').expect("is closed");
            let (name, default) = variable.split_once(":-").unwrap_or((variable, ""));
            assert!(
                !default.is_empty(),
                "{}: {name} has no default",
                file.display()
            );
            let described = pages.contains(name) || text.contains(&format!("{name}="));
            assert!(described, "{}: {name} is described nowhere", file.display());
            found += 1;
        }
    }
    assert!(found > 0, "no variable was found");
}

#[test]
fn no_example_holds_a_private_key() {
    for directory in support::directories("examples")
        .into_iter()
        .chain([root().join("stacks/material")])
    {
        for entry in fs::read_dir(&directory).expect("is readable") {
            let path = entry.expect("is readable").path();
            let content = fs::read(&path).expect("is readable");
            let text = String::from_utf8_lossy(&content);
            assert!(!text.contains("PRIVATE KEY-----"), "{}", path.display());
        }
    }
}
