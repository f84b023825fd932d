//! What sections are called.

use std::collections::{BTreeMap, BTreeSet};

use super::seen::Seen;

/// What several things of a kind are called in the stack file.
#[derive(Debug)]
pub(super) struct Names {
    /// By the API's id.
    pub(super) apis: BTreeMap<String, String>,
    /// By the group's ARN.
    pub(super) target_groups: BTreeMap<String, String>,
}

impl Names {
    /// Chooses names that are unique within their kind.
    pub(super) fn of(seen: &Seen) -> Self {
        let apis = seen.apis.iter();
        let apis = apis.map(|(id, api)| (id.clone(), api.spec.name.clone()));
        let groups = seen.front.iter().flat_map(|front| &front.target_groups);
        let groups = groups.map(|(arn, group)| (arn.clone(), group.spec.name.clone()));
        Self {
            apis: unique(apis.collect()),
            target_groups: unique(groups.collect()),
        }
    }
}

/// Section names of things by id; the only one is `main`.
pub(super) fn unique(things: BTreeMap<String, String>) -> BTreeMap<String, String> {
    if things.len() == 1 {
        let only = things.into_keys().map(|id| (id, "main".to_owned()));
        return only.collect();
    }
    let mut taken = BTreeSet::new();
    let mut names = BTreeMap::new();
    for (id, name) in things {
        let stem = section_name(&name);
        let mut number = 1;
        let mut name = stem.clone();
        while !taken.insert(name.clone()) {
            number += 1;
            let stem: String = stem.chars().take(16).collect();
            name = format!("{}-{number}", stem.trim_end_matches('-'));
        }
        names.insert(id, name);
    }
    names
}

/// The nearest name that a stack or a section may have.
pub(crate) fn section_name(text: &str) -> String {
    let letters = text.to_ascii_lowercase();
    let parts = letters.split(|c: char| !c.is_ascii_alphanumeric());
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    let joined = parts.join("-");
    let joined = joined.strip_prefix("internal-").unwrap_or(&joined);
    let joined = joined.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let short: String = joined.chars().take(20).collect();
    match short.trim_end_matches('-') {
        "" | "internal" | "main" => "gateway".to_owned(),
        name => name.to_owned(),
    }
}

/// The address of one of several: the singular section is the one named `main`.
pub(super) fn address(singular: &str, name: &str) -> String {
    if name == "main" {
        singular.to_owned()
    } else {
        format!("{singular}s.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_sections_may_have() {
        assert_eq!(section_name("My_API (v2)"), "my-api-v2");
        assert_eq!(section_name("internal-alb"), "alb");
        assert_eq!(section_name("123"), "gateway");
        assert_eq!(
            section_name("a-very-long-name-of-a-load-balancer"),
            "a-very-long-name-of"
        );
    }

    #[test]
    fn things_of_one_name_get_numbers_and_a_single_one_gets_none() {
        let things = |names: &[&str]| {
            let things = names.iter().enumerate();
            things
                .map(|(id, name)| (id.to_string(), (*name).to_owned()))
                .collect()
        };
        let names = unique(things(&["PetStore", "PetStore", "Orders"]));
        let names: Vec<String> = names.into_values().collect();
        assert_eq!(names, ["petstore", "petstore-2", "orders"]);
        assert_eq!(
            unique(things(&["PetStore"])).into_values().next().unwrap(),
            "main"
        );
    }
}
