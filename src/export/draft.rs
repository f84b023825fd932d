//! The stack file in the making.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::seen::Seen;
use super::{Exported, STACK_FILE, yaml};
use crate::aws::tags::Tags;
use crate::wiring::Warning;

/// What is never looked at, so that nobody takes silence for absence.
const UNSEEN: &str = "\n# Not looked at, and never touched: web ACLs, Shield, Global Accelerator, alarms, usage plans, scaling groups.\n";

/// Sections, files, what to adopt, and what could not be said.
#[derive(Debug)]
pub(super) struct Draft {
    sections: Map<String, Value>,
    adopt: Map<String, Value>,
    files: BTreeMap<String, Vec<u8>>,
    warnings: Vec<Warning>,
}

impl Draft {
    /// A file with nothing but the stack's identity.
    pub(super) fn new(name: &str, region: &str, account: &str) -> Self {
        let identity = [("name", name), ("region", region), ("account", account)];
        let identity = identity.map(|(key, value)| (key.to_owned(), Value::from(value)));
        Self {
            sections: identity.into_iter().collect(),
            adopt: Map::new(),
            files: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }

    /// Adds a section, if there is one.
    pub(super) fn put(&mut self, key: &str, section: Option<Value>) {
        self.sections
            .extend(section.map(|section| (key.to_owned(), section)));
    }

    /// Adds sections of one kind: the only one in the singular, several by name.
    pub(super) fn put_each(&mut self, singular: &str, sections: Vec<(String, Value)>) {
        match <[(String, Value); 1]>::try_from(sections) {
            Ok([(_, only)]) => self.put(singular, Some(only)),
            Err(several) if several.is_empty() => {}
            Err(several) => {
                let several: Map<String, Value> = several.into_iter().collect();
                self.put(&format!("{singular}s"), Some(several.into()));
            }
        }
    }

    /// The region.
    pub(super) fn region(&self) -> &str {
        self.sections["region"].as_str().unwrap_or_default()
    }

    /// The stack's name.
    pub(super) fn name(&self) -> &str {
        self.sections["name"].as_str().unwrap_or_default()
    }

    /// Whether an API leads through the stack's VPC link.
    pub(super) fn is_linked(&self) -> bool {
        let only = self.sections.get("api");
        let several = self.sections.get("apis").and_then(Value::as_object);
        let several = several.into_iter().flat_map(Map::values);
        only.into_iter()
            .chain(several)
            .any(|api| api.get("vpc_link").is_some())
    }

    /// Names what stands at an address, and says whose it is if it is somebody's.
    pub(super) fn adopt(&mut self, address: &str, id: &str, tags: &Tags) {
        self.adopt.insert(address.to_owned(), id.into());
        self.tell_owner(address, id, tags);
    }

    /// Says of what another stack owns that it cannot be adopted.
    pub(super) fn tell_owner(&mut self, address: &str, id: &str, tags: &Tags) {
        if let Some(stack) = tags.stack() {
            self.differs(
                address,
                format!("`{id}` belongs to the stack `{stack}`, and cannot be adopted"),
            );
        }
    }

    /// Adds a file; gives its name.
    pub(super) fn file(&mut self, name: &str, content: impl Into<Vec<u8>>) -> Value {
        self.files.insert(name.to_owned(), content.into());
        name.into()
    }

    /// Notes something that is not in the file.
    pub(super) fn leave_out(&mut self, address: &str, what: impl Into<String>) {
        self.warn("not_exported", address, what);
    }

    /// Notes something that the file says otherwise than it is.
    pub(super) fn differs(&mut self, address: &str, what: impl Into<String>) {
        self.warn("exported_otherwise", address, what);
    }

    fn warn(&mut self, code: &str, address: &str, message: impl Into<String>) {
        self.warnings.push(Warning {
            code: code.to_owned(),
            address: address.to_owned(),
            message: message.into(),
        });
    }

    /// The files.
    pub(super) fn finish(mut self, seen: &Seen) -> Exported {
        let mut text = format!(
            "# Exported from {}.\n# `mtlsgw plan --adopt` shows what taking it over would do: tags only; \
             `mtlsgw apply --adopt` does it.\n\n",
            seen.origin
        );
        for (key, section) in &self.sections {
            let entry: Map<String, Value> = [(key.clone(), section.clone())].into_iter().collect();
            text.push_str(&yaml::block(&entry, 0));
        }
        if !self.adopt.is_empty() {
            text.push_str(
                "\n# What stands at addresses of this stack already; to be removed once it is adopted, or left.\n",
            );
            let adopt = [("adopt".to_owned(), Value::from(self.adopt.clone()))];
            text.push_str(&yaml::block(&adopt.into_iter().collect(), 0));
        }
        let groups = [
            ("not_exported", "Not exported, and never touched"),
            (
                "exported_otherwise",
                "Otherwise than it is: `mtlsgw apply` would change it after the adoption",
            ),
        ];
        for (code, title) in groups {
            let of_group: Vec<&Warning> = self
                .warnings
                .iter()
                .filter(|one| one.code == code)
                .collect();
            if of_group.is_empty() {
                continue;
            }
            text.extend(["\n# ", title, ":\n"]);
            for Warning {
                address, message, ..
            } in of_group
            {
                let message = message.replace('\n', " ");
                text.extend(["#   ", address.as_str(), ": ", message.as_str(), "\n"]);
            }
        }
        text.push_str(UNSEEN);
        self.files.insert(STACK_FILE.to_owned(), text.into_bytes());
        Exported {
            files: self.files,
            warnings: self.warnings,
        }
    }
}
