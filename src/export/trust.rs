//! The trust store and the server certificate.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::draft::Draft;
use super::seen::{Front, Listening, Seen};
use crate::aws::tags::Tags;
use crate::resource::trust_store::Content;
use crate::trust::{Severity, lint_bundle, lint_crls};

/// The section `trust_store`, with its files; a reference where the trust store cannot be taken over.
pub(super) fn trust_store(front: &Front, draft: &mut Draft) -> Option<Value> {
    let (arn, looked) = front.trust_store.as_ref()?;
    let reference = Some(json!({ "arn": arn }));
    let ours = |user: &String| {
        front
            .listeners
            .values()
            .any(|one: &Listening| one.id == *user)
    };
    if let Some(user) = looked.users.iter().find(|user| !ours(user)) {
        draft.leave_out(
            "trust_store",
            format!(
                "`{}` is shared with {user}, so it is only referred to",
                looked.name
            ),
        );
        return reference;
    }
    if let Some(stack) = &looked.stack {
        draft.leave_out(
            "trust_store",
            format!(
                "`{}` belongs to the stack `{stack}`, so it is only referred to",
                looked.name
            ),
        );
        return reference;
    }
    let content = match &looked.content {
        Ok(content) => content,
        Err(error) => {
            draft.leave_out("trust_store", format!("only referred to: {error}"));
            return reference;
        }
    };
    if let Some(why) = refusal(content) {
        draft.leave_out("trust_store", format!("only referred to: {why}"));
        return reference;
    }
    draft.adopt("trust_store", arn, &Tags::default());
    let bundle = draft.file("ca_bundle.pem", content.bundle.pem());
    let mut section = json!({ "ca_bundle": [bundle] });
    let crls = content.crls.iter().enumerate();
    let crls: Vec<Value> = crls
        .map(|(index, crl)| draft.file(&format!("crl-{}.pem", index + 1), crl.pem()))
        .collect();
    if !crls.is_empty() {
        section["crls"] = crls.into();
    }
    Some(section)
}

/// Why a trust store as it is could not stand in a stack file.
fn refusal(content: &Content) -> Option<String> {
    if !content.unread.is_empty() {
        let unread = content.unread.join(", ");
        return Some(format!(
            "its revocations {unread} cannot be read as one CRL each"
        ));
    }
    let now = OffsetDateTime::now_utc();
    let crls: Vec<_> = content
        .crls
        .iter()
        .cloned()
        .map(std::sync::Arc::new)
        .collect();
    let findings = lint_bundle(&content.bundle, now).into_iter();
    let mut findings = findings.chain(lint_crls(&crls, &content.bundle, now));
    let error = findings.find(|finding| finding.severity == Severity::Error)?;
    Some(error.in_words())
}

/// The section `certificate`: always a reference. Others may use it, and no key is ever given back.
pub(super) fn certificate(seen: &Seen, draft: &mut Draft) {
    let Some(arn) = seen.certificate() else {
        return;
    };
    draft.put("certificate", Some(json!({ "arn": arn })));
}
