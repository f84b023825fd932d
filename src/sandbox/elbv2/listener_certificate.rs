//! The certificates of listeners: which can be used, and those beside the default one.

use std::time::Duration;

use serde_json::{Value, json};

use super::{invalid, listener, page, state};
use crate::sandbox::acm;
use crate::sandbox::world::{Call, Refusal, World};

/// How long ACM counts a certificate as used that was let go of.
pub(super) const RELEASE: Duration = Duration::from_mins(2);

/// The key algorithms that a load balancer can serve.
const KEY_ALGORITHMS: [&str; 6] = [
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "EC_prime256v1",
    "EC_secp384r1",
    "EC_secp521r1",
];

/// The default certificate that the call names, if any; it can name one only.
pub(super) fn default(call: &Call<'_>) -> Result<Option<String>, Refusal> {
    let given = given(call)?;
    match given.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only.clone())),
        _ => Err(Refusal::new(
            "TooManyCertificates",
            "Only one certificate can be specified; add the others to the certificate list",
        )),
    }
}

fn given(call: &Call<'_>) -> Result<Vec<String>, Refusal> {
    let mut arns = Vec::new();
    for (index, certificate) in call.list("Certificates").iter().enumerate() {
        let path = format!("Certificates[{index}]");
        call.models(&path, certificate, &["CertificateArn", "IsDefault"])?;
        if certificate.get("IsDefault").is_some() {
            return Err(invalid("'IsDefault' cannot be specified for a certificate"));
        }
        let Some(arn) = certificate["CertificateArn"].as_str() else {
            return Err(invalid("A certificate ARN must be specified"));
        };
        arns.push(arn.to_owned());
    }
    Ok(arns)
}

/// Refuses a certificate that does not exist or that listeners cannot use.
pub(super) fn check(world: &mut World, call: &Call<'_>, arn: &str) -> Result<(), Refusal> {
    let now = world.now;
    acm::settle(world, call.region)?;
    let Some(certificate) = world.region(call.region).acm.certificate(arn) else {
        return Err(Refusal::new(
            "CertificateNotFound",
            format!("Certificate '{arn}' not found"),
        ));
    };
    let is_qualified =
        |name: &String| name.contains('.') && name.parse::<std::net::IpAddr>().is_err();
    let usable = certificate.status(now) == "ISSUED"
        && certificate.names().iter().any(is_qualified)
        && KEY_ALGORITHMS.contains(&certificate.key_algorithm());
    if !usable {
        return Err(Refusal::new(
            "UnsupportedCertificate",
            format!(
                "The certificate '{arn}' must have a fully-qualified domain name, a supported \
                 signature, and a supported key size."
            ),
        ));
    }
    Ok(())
}

/// `AddListenerCertificates`.
pub(super) fn add(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let added = given(call)?;
    let mut listener = state(world, call).named_listener(call)?.clone();
    if !listener.is_secure() {
        return Err(invalid(format!(
            "Certificates cannot be specified for {} listeners",
            listener.protocol
        )));
    }
    for arn in &added {
        check(world, call, arn)?;
        if !listener.more_certificates.contains(arn) {
            listener.more_certificates.push(arn.clone());
        }
    }
    let most = world.quota("L-9365A611", 25);
    let state = state(world, call);
    let on_others: usize = state
        .listeners
        .values()
        .filter(|other| other.load_balancer == listener.load_balancer && other.arn != listener.arn)
        .map(|other| other.more_certificates.len())
        .sum();
    if (on_others + listener.more_certificates.len()) as u64 > most {
        return Err(Refusal::new(
            "TooManyCertificates",
            "The maximum number of certificates of the load balancer has been reached",
        ));
    }
    state.listeners.insert(listener.arn.clone(), listener);
    let certificates: Vec<Value> = added
        .iter()
        .map(|arn| json!({"CertificateArn": arn, "IsDefault": false}))
        .collect();
    Ok(json!({"Certificates": certificates}))
}

/// `RemoveListenerCertificates`; what is not in the list is no error.
pub(super) fn remove(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let removed = given(call)?;
    let before = state(world, call).named_listener(call)?.clone();
    let mut after = before.clone();
    for arn in &removed {
        let listed = after.more_certificates.contains(arn);
        if before.certificate.as_ref() == Some(arn) && !listed {
            return Err(Refusal::new(
                "OperationNotPermitted",
                format!("The default certificate '{arn}' cannot be removed"),
            ));
        }
        after.more_certificates.retain(|known| known != arn);
    }
    state(world, call)
        .listeners
        .insert(after.arn.clone(), after.clone());
    listener::note_release(world, call, &before, Some(&after));
    Ok(json!({}))
}

/// `DescribeListenerCertificates`: all of them, the default one marked.
pub(super) fn describe(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let listener = state(world, call).named_listener(call)?;
    let default = listener.certificate.iter().map(|arn| (arn, true));
    let others = listener.more_certificates.iter().map(|arn| (arn, false));
    let found = default
        .chain(others)
        .enumerate()
        .map(|(index, (arn, is_default))| {
            let key = format!("{index:04}");
            (key, json!({"CertificateArn": arn, "IsDefault": is_default}))
        })
        .collect();
    page::answer(call, "Certificates", found)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Account;
    use super::*;

    #[test]
    fn the_default_certificate_is_marked_and_cannot_be_removed() {
        let mut account = Account::fresh();
        let load_balancer = account.load_balancer();
        let target_group = account.target_group("endpoint");
        let input = account.listener_input(&load_balancer, &target_group);
        let default = input["Certificates"].clone();
        let listener = account.listener(input);
        let other = json!([{"CertificateArn": account.certificate()}]);
        let named =
            |certificates: &Value| json!({"ListenerArn": listener, "Certificates": certificates});
        account.call("AddListenerCertificates", named(&other));
        let output = account.call(
            "DescribeListenerCertificates",
            json!({"ListenerArn": listener}),
        );
        assert_eq!(output["Certificates"][0]["IsDefault"], true);
        assert_eq!(output["Certificates"][1]["IsDefault"], false);
        assert_eq!(
            account.refused("RemoveListenerCertificates", named(&default)),
            "OperationNotPermitted"
        );
        account.call("RemoveListenerCertificates", named(&other));
        account.call("RemoveListenerCertificates", named(&other));
    }
}
