//! Rules for the files themselves: what they hold twice, and what an upload by hand would refuse.

use std::collections::HashMap;

use super::{Finding, Rule, Severity};
use crate::trust::digest::Sha256Digest;
use crate::trust::source::{SourceContent, SourceFile};

const FORM: Rule = Rule {
    code: "file-not-canonical",
    severity: Severity::Note,
    why: "mtlsgw uploads its own canonical PEM; by hand, AWS answers InvalidCaCertificatesBundle or \
          InvalidRevocationContent for the file as it is",
    fix: "nothing, unless the file is uploaded by other means: then leave out blank lines and \
          everything between the blocks",
};

const CA_TWICE: Rule = Rule {
    code: "ca-duplicate",
    severity: Severity::Note,
    why: "a trust store needs each certificate once; mtlsgw uploads it once, and by hand both count \
          towards the quota",
    fix: "remove one of them",
};

const CRL_TWICE: Rule = Rule {
    code: "crl-duplicate",
    severity: Severity::Note,
    why: "adding a CRL twice makes two revocations of it, which both count towards the quotas; \
          mtlsgw adds it once",
    fix: "remove one of them",
};

/// The rules of this file.
pub(super) const RULES: &[Rule] = &[FORM, CA_TWICE, CRL_TWICE];

/// Checks the files that are given for a trust store.
pub fn lint_sources(files: &[SourceFile]) -> Vec<Finding> {
    let form = |file: &SourceFile| {
        let form = file.form.as_ref()?;
        Some(FORM.whole(&file.name, form))
    };
    let mut findings: Vec<Finding> = files.iter().filter_map(form).collect();
    let mut first: HashMap<Sha256Digest, String> = HashMap::new();
    for file in files {
        for entry in &file.entries {
            let place = format!("{}, {}", file.name, entry.origin);
            let Some(before) = first.get(&entry.content.digest()) else {
                first.insert(entry.content.digest(), place);
                continue;
            };
            let message = format!("{place} repeats {before}");
            findings.push(match &entry.content {
                SourceContent::Certificate(certificate) => {
                    CA_TWICE.certificate(certificate, message)
                }
                SourceContent::Crl(crl) => CRL_TWICE.crl(crl, message),
            });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::fixtures::Authority;
    use crate::trust::lint::testing::codes;

    #[test]
    fn what_is_there_twice_is_told_with_both_places() {
        let root = Authority::new("Root");
        let (ca, crl) = (root.certificate().pem(), root.crl(&[1]).pem());
        let file =
            |name: &str, text: String| SourceFile::from_bytes(name, text.as_bytes()).unwrap();
        let files = [
            file("a.pem", format!("{ca}{crl}")),
            file("b.pem", format!("\n{ca}{crl}")),
        ];
        let findings = lint_sources(&files);
        assert_eq!(
            codes(&findings),
            ["file-not-canonical", "ca-duplicate", "crl-duplicate"]
        );
        assert_eq!(findings[0].subject, "b.pem");
        assert_eq!(findings[1].message, "b.pem, line 2 repeats a.pem, line 1");
        assert_eq!(lint_sources(&files[..1]), []);
    }
}
