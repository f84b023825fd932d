//! The sections of custom domains.

use std::collections::BTreeMap;

use serde_json::{Map, json};

use super::draft::Draft;
use super::names::{Names, address, unique};
use super::seen::{Domain, Seen, known};

/// The sections `domain` and `domains`.
pub(super) fn domains(seen: &Seen, names: &Names, draft: &mut Draft) {
    let keys: BTreeMap<String, String> = seen
        .domains
        .iter()
        .map(|domain| (domain.spec.name.clone(), domain.spec.name.clone()))
        .collect();
    let keys = unique(keys);
    let mut sections = Vec::new();
    for Domain {
        spec: domain,
        mappings,
        ..
    } in &seen.domains
    {
        let name = keys.get(&domain.name).cloned().unwrap_or_default();
        let at = address("domain", &name);
        let mut mapped = Map::new();
        for mapping in mappings {
            let path = mapping.base_path.as_deref().unwrap_or("(none)");
            let (api, stage) = (known(&mapping.api), known(&mapping.stage));
            let api = api.unwrap_or_default();
            let served = seen
                .apis
                .get(api)
                .filter(|one| Some(one.stage.name.as_str()) == stage);
            match names.apis.get(api).filter(|_| served.is_some()) {
                Some(name) => {
                    mapped.insert(path.to_owned(), name.as_str().into());
                }
                None => draft.leave_out(
                    &at,
                    format!(
                        "the mapping `{path}` to `{}` of the API `{api}`",
                        stage.unwrap_or_default()
                    ),
                ),
            }
        }
        let mut section = json!({ "name": domain.name });
        match mapped.keys().next().map(String::as_str) {
            Some("(none)") if mapped.len() == 1 && seen.apis.len() == 1 => {}
            Some(path) if mapped.len() == 1 && seen.apis.len() == 1 => {
                section["base_path"] = path.into();
            }
            _ => section["mappings"] = mapped.into(),
        }
        match domain.security_policy.as_str() {
            "TLS_1_2" => {}
            "TLS_1_0" => section["security_policy"] = "TLS_1_0".into(),
            other => draft.differs(&at, format!("its security policy `{other}`")),
        }
        if known(&domain.certificate) != seen.certificate() {
            draft.differs(
                &at,
                "its certificate is another one than the first that clients see",
            );
        }
        draft.tell_owner(&at, &domain.name, &domain.tags);
        sections.push((name, section));
    }
    draft.put_each("domain", sections);
}
