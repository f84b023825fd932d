//! Where the connection logs of a stack are, by what its live load balancer says.

use crate::error::{Error, Result};
use crate::resource::load_balancer::{self, LoadBalancer};
use crate::resource::{Owner, Reader};

use super::key::Names;

/// Where the connection logs of one load balancer are.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The load balancer's ARN.
    pub(crate) load_balancer: String,
    /// The bucket; it may be another account's.
    pub(crate) bucket: String,
    pub(super) names: Names,
}

impl Origin {
    /// The place as S3 tools write it.
    pub(crate) fn url(&self) -> String {
        format!("s3://{}/{}/", self.bucket, self.names.directory())
    }
}

/// Finds the logs of a stack's load balancers; there are two while one replaces the other, and none
/// where the stack has not been applied yet. `arn` names the one that is not the stack's own.
///
/// # Errors
///
/// What could not be read, or load balancers that write no connection logs.
pub(crate) async fn origins(
    reader: &Reader,
    stack: &str,
    arn: Option<&str>,
) -> Result<Vec<Origin>> {
    let attributes = if let Some(arn) = arn {
        let attributes = load_balancer::attributes(&reader.aws, arn).await?;
        vec![(arn.to_owned(), attributes)]
    } else {
        let found = reader.found::<LoadBalancer>().await?;
        let ours = found
            .iter()
            .filter(|one| one.owner == Owner::Ours && one.stack == stack);
        ours.map(|one| (one.id.clone(), one.spec.attributes.clone()))
            .collect()
    };
    let mut origins = Vec::new();
    for (arn, attributes) in &attributes {
        let value = |name: &str| {
            let value = attributes.get(&format!("connection_logs.s3.{name}"));
            value.map(String::as_str).unwrap_or_default()
        };
        if value("enabled") != "true" {
            continue;
        }
        let names = Names::of(arn, value("prefix"));
        let names = names.ok_or_else(|| Error::refused(format!("`{arn}` is no load balancer")))?;
        origins.push(Origin {
            load_balancer: arn.clone(),
            bucket: value("bucket").to_owned(),
            names,
        });
    }
    match attributes.first() {
        Some((arn, _)) if origins.is_empty() => Err(off(arn)),
        _ => Ok(origins),
    }
}

/// Says how to switch the logs on.
fn off(arn: &str) -> Error {
    let name = arn
        .rsplit_once("loadbalancer/")
        .map_or(arn, |(_, name)| name);
    Error::refused_with(
        format!(
            "the load balancer `{name}` writes no connection logs, so nobody can tell who came"
        ),
        "switch them on in the stack file and apply it: `load_balancer: { connection_logs: true }` for a \
         bucket of the stack's own, or `connection_logs: { bucket: BUCKET }`; docs/logs.md says what that \
         has to allow",
    )
}
