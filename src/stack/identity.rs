//! Name, region and account, by which a stack is known, and the bucket, in which it leaves traces.

use serde::Deserialize;

use super::Identity;
use super::common::Bucket;
use super::context::Context;
use super::fault::Fault;
use super::path::KeyPath;

/// The keys of the identity as they are written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIdentity {
    /// The stack's name.
    name: String,
    /// AWS region.
    region: String,
    /// Account id.
    account: Option<String>,
    /// Name of an existing bucket.
    bucket: Option<String>,
}

/// What a name may be.
pub(super) const NAME_RULE: &str =
    "at most 20 lower-case letters, digits and single hyphens, beginning with a letter";

impl RawIdentity {
    /// The keys that make up the identity.
    pub(super) const KEYS: [&str; 4] = ["name", "region", "account", "bucket"];

    /// Makes them, as they are written.
    pub(super) fn new(
        name: String,
        region: String,
        account: Option<String>,
        bucket: Option<String>,
    ) -> Self {
        Self {
            name,
            region,
            account,
            bucket,
        }
    }

    /// The region as it is written.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Checks them.
    pub(super) fn build(self, cx: &Context) -> Identity {
        check_name(&self.name, cx);
        check_region(&self.region, cx);
        if let Some(account) = &self.account
            && (account.len() != 12 || !account.chars().all(|c| c.is_ascii_digit()))
        {
            let fault = Fault::new(
                &KeyPath::top("account"),
                format!("`{account}` is no account id"),
            );
            cx.fault(fault.allowed("12 digits in quotes"));
        }
        Identity {
            name: self.name,
            region: self.region,
            account: self.account,
            bucket: read_bucket(self.bucket, cx),
        }
    }
}

/// Whether this can name a stack or one of several sections.
pub(super) fn is_name(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    text.len() <= 20
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.split('-').all(is_part)
}

fn read_bucket(name: Option<String>, cx: &Context) -> Bucket {
    let Some(name) = name else { return Bucket::Own };
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    let is_end = |c: char| c.is_ascii_alphanumeric();
    let is_name = (3..=63).contains(&name.len())
        && name.chars().all(allowed)
        && name.starts_with(is_end)
        && name.ends_with(is_end)
        && !name.contains("..");
    if !is_name {
        let fault = Fault::new(
            &KeyPath::top("bucket"),
            format!("`{name}` is no bucket name"),
        );
        let fault = fault.allowed("3 to 63 lower-case letters, digits, `.` and `-`");
        cx.fault(match name.strip_prefix("s3://") {
            Some(rest) => fault.hint(format!("write `{}`", rest.trim_end_matches('/'))),
            None => fault,
        });
    }
    Bucket::Existing(name)
}

fn check_name(name: &str, cx: &Context) {
    let path = KeyPath::top("name");
    if !is_name(name) {
        let fault =
            Fault::new(&path, format!("`{name}` is no name for a stack")).allowed(NAME_RULE);
        let proposal = name.to_lowercase().replace(['_', '.', ' '], "-");
        cx.fault(if is_name(&proposal) {
            fault.hint(format!("write `{proposal}`"))
        } else {
            fault
        });
    } else if name == "internal" || name.starts_with("internal-") {
        let message = "AWS refuses names of load balancers that begin with `internal-`";
        cx.fault(Fault::new(&path, message).hint("choose another name for the stack"));
    }
}

fn check_region(region: &str, cx: &Context) {
    let path = KeyPath::top("region");
    if is_region(region) {
        return;
    }
    let fault =
        Fault::new(&path, format!("`{region}` is no region")).allowed("such as `eu-central-1`");
    let shorter = region.trim_end_matches(|c: char| c.is_ascii_lowercase());
    cx.fault(if is_region(shorter) {
        fault.hint(format!(
            "`{region}` is an availability zone; write `{shorter}`"
        ))
    } else {
        fault
    });
}

/// Whether this looks like a region; which ones exist changes faster than this program.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else {
        return false;
    };
    let is_word = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase());
    words.len() >= 2
        && words.iter().all(is_word)
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_of_every_partition_pass() {
        for region in [
            "eu-central-1",
            "us-gov-west-1",
            "cn-north-1",
            "eusc-de-east-1",
            "us-iso-east-1",
        ] {
            assert!(is_region(region), "{region}");
        }
        for other in [
            "",
            "eu",
            "eu-1",
            "eu-central-1a",
            "EU-CENTRAL-1",
            "eu--1",
            "us_east_1",
        ] {
            assert!(!is_region(other), "{other}");
        }
    }

    #[test]
    fn names_have_single_hyphens_only() {
        for name in ["a", "petstore", "a-1-b", "a2345678901234567890"] {
            assert!(is_name(name), "{name}");
        }
        for other in [
            "",
            "1a",
            "a-",
            "-a",
            "a--b",
            "A",
            "a_b",
            "a23456789012345678901",
            "ä",
        ] {
            assert!(!is_name(other), "{other}");
        }
    }
}
