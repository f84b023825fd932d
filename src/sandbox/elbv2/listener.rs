//! Listeners.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::action::{self, Action};
use super::arn::Kind;
use super::attribute::{Allowed, Attribute, Attributes, Tables, attribute};
use super::load_balancer::LoadBalancer;
use super::mutual_authentication::{self, MutualAuthentication};
use super::tls_policy::{self, TlsPolicy};
use super::{
    PROPAGATION, ReleasedCertificate, State, arn, invalid, listener_certificate, network, page,
    state, tag,
};
use crate::sandbox::world::{Call, Refusal, World};

/// A listener of a load balancer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Listener {
    /// Its ARN.
    pub(in crate::sandbox) arn: String,
    /// The load balancer that it is part of.
    pub(in crate::sandbox) load_balancer: String,
    /// The port, unique on the load balancer.
    pub(in crate::sandbox) port: i64,
    /// `HTTP` or `HTTPS`; `TCP` or `TLS` of a Network Load Balancer.
    pub(in crate::sandbox) protocol: String,
    /// The security policy, on HTTPS and TLS.
    pub(in crate::sandbox) ssl_policy: Option<String>,
    /// The default certificate, on HTTPS and TLS.
    pub(in crate::sandbox) certificate: Option<String>,
    /// The certificates that are chosen by SNI beside the default one.
    pub(in crate::sandbox) more_certificates: Vec<String>,
    /// What it does with requests that no rule takes.
    pub(in crate::sandbox) default_action: Action,
    /// The ARN of the rule that stands for the default action.
    pub(in crate::sandbox) default_rule: String,
    /// What it does about client certificates; off on HTTP.
    pub(in crate::sandbox) mutual_authentication: MutualAuthentication,
    /// The attributes that were set.
    pub(in crate::sandbox) attributes: Attributes,
    /// What protocols are offered by ALPN, on TLS; `None` is a policy, too.
    #[serde(default)]
    pub(in crate::sandbox) alpn_policy: Option<String>,
}

/// How many listeners of a load balancer can verify client certificates; AWS does not raise it.
const VERIFYING_LISTENERS: usize = 2;

/// What every listener of an Application Load Balancer has.
const RESPONSE_ATTRIBUTES: &[Attribute] = &[
    attribute(
        "routing.http.response.access_control_allow_credentials.header_value",
        "",
        Allowed::OneOf(&["", "true"]),
    ),
    attribute(
        "routing.http.response.access_control_allow_headers.header_value",
        "",
        Allowed::Text(1024),
    ),
    attribute(
        "routing.http.response.access_control_allow_methods.header_value",
        "",
        Allowed::Text(1024),
    ),
    attribute(
        "routing.http.response.access_control_allow_origin.header_value",
        "",
        Allowed::Text(1024),
    ),
    attribute(
        "routing.http.response.access_control_expose_headers.header_value",
        "",
        Allowed::Text(1024),
    ),
    attribute(
        "routing.http.response.access_control_max_age.header_value",
        "",
        Allowed::RangeOr(0, 86_400, ""),
    ),
    attribute(
        "routing.http.response.content_security_policy.header_value",
        "",
        Allowed::Text(1024),
    ),
    attribute(
        "routing.http.response.server.enabled",
        "true",
        Allowed::Flag,
    ),
    attribute(
        "routing.http.response.strict_transport_security.header_value",
        "",
        Allowed::Text(1024),
    ),
    attribute(
        "routing.http.response.x_content_type_options.header_value",
        "",
        Allowed::OneOf(&["", "nosniff"]),
    ),
    attribute(
        "routing.http.response.x_frame_options.header_value",
        "",
        Allowed::Text(1024),
    ),
];

/// What HTTPS listeners have beside: the names of the headers that tell targets about TLS.
const REQUEST_ATTRIBUTES: &[Attribute] = &[
    attribute(
        "routing.http.request.x_amzn_mtls_clientcert.header_name",
        "X-Amzn-Mtls-Clientcert",
        Allowed::HeaderName,
    ),
    attribute(
        "routing.http.request.x_amzn_mtls_clientcert_issuer.header_name",
        "X-Amzn-Mtls-Clientcert-Issuer",
        Allowed::HeaderName,
    ),
    attribute(
        "routing.http.request.x_amzn_mtls_clientcert_leaf.header_name",
        "X-Amzn-Mtls-Clientcert-Leaf",
        Allowed::HeaderName,
    ),
    attribute(
        "routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name",
        "X-Amzn-Mtls-Clientcert-Serial-Number",
        Allowed::HeaderName,
    ),
    attribute(
        "routing.http.request.x_amzn_mtls_clientcert_subject.header_name",
        "X-Amzn-Mtls-Clientcert-Subject",
        Allowed::HeaderName,
    ),
    attribute(
        "routing.http.request.x_amzn_mtls_clientcert_validity.header_name",
        "X-Amzn-Mtls-Clientcert-Validity",
        Allowed::HeaderName,
    ),
    attribute(
        "routing.http.request.x_amzn_tls_cipher_suite.header_name",
        "X-Amzn-Tls-Cipher-Suite",
        Allowed::HeaderName,
    ),
    attribute(
        "routing.http.request.x_amzn_tls_version.header_name",
        "X-Amzn-Tls-Version",
        Allowed::HeaderName,
    ),
];

impl Listener {
    /// Whether the certificate is its default one or one of the others.
    pub(super) fn uses_certificate(&self, certificate: &str) -> bool {
        self.certificates().any(|used| used == certificate)
    }

    /// All certificates, the default one first.
    pub(in crate::sandbox) fn certificates(&self) -> impl Iterator<Item = &str> {
        self.certificate
            .iter()
            .chain(&self.more_certificates)
            .map(String::as_str)
    }

    /// The value of an attribute, set or default.
    pub(in crate::sandbox) fn attribute(&self, key: &str) -> &str {
        super::attribute::value(self.attribute_tables(), &self.attributes, key)
    }

    /// Whether clients speak TLS with it.
    pub(in crate::sandbox) fn is_secure(&self) -> bool {
        is_secure(&self.protocol)
    }

    /// Whether it was made with the settings of `other`, so that creating it again changes nothing.
    fn is_like(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && self.ssl_policy == other.ssl_policy
            && self.certificate == other.certificate
            && self.alpn_policy == other.alpn_policy
            && self.default_action.effect == other.default_action.effect
            && self.mutual_authentication == other.mutual_authentication
    }

    /// The `Listener` structure; of the certificates it shows the default one only.
    fn describe(&self) -> Value {
        let mut structure = Map::new();
        let mut put = |name: &str, value: Value| structure.insert(name.to_owned(), value);
        put("ListenerArn", json!(self.arn));
        put("LoadBalancerArn", json!(self.load_balancer));
        put("Port", json!(self.port));
        put("Protocol", json!(self.protocol));
        put("DefaultActions", json!([self.default_action.describe()]));
        if self.is_secure() {
            let certificates = self.certificate.iter();
            let certificates: Vec<Value> = certificates
                .map(|arn| json!({"CertificateArn": arn}))
                .collect();
            put("Certificates", json!(certificates));
            put("SslPolicy", json!(self.ssl_policy));
        }
        if self.protocol == "HTTPS" {
            put(
                "MutualAuthentication",
                self.mutual_authentication.describe(),
            );
        }
        if let Some(policy) = &self.alpn_policy {
            put("AlpnPolicy", json!([policy]));
        }
        Value::Object(structure)
    }

    fn attribute_tables(&self) -> &'static Tables {
        match self.protocol.as_str() {
            "HTTPS" => &[REQUEST_ATTRIBUTES, RESPONSE_ATTRIBUTES],
            "TCP" => &[network::LISTENER_ATTRIBUTES],
            "TLS" => &[],
            _ => &[RESPONSE_ATTRIBUTES],
        }
    }
}

/// Whether clients speak TLS with a listener of the protocol.
fn is_secure(protocol: &str) -> bool {
    matches!(protocol, "HTTPS" | "TLS")
}

impl State {
    /// The ARNs of the load balancer's listeners.
    pub(super) fn listeners_of(&self, load_balancer: &str) -> Vec<String> {
        self.siblings(load_balancer)
            .map(|listener| listener.arn.clone())
            .collect()
    }

    fn siblings(&self, load_balancer: &str) -> impl Iterator<Item = &Listener> {
        let listeners = self.listeners.values();
        listeners.filter(move |listener| listener.load_balancer == load_balancer)
    }

    /// The listener that the call names.
    pub(super) fn named_listener(&mut self, call: &Call<'_>) -> Result<&mut Listener, Refusal> {
        let arn = call.required("ListenerArn");
        self.listeners
            .get_mut(arn)
            .ok_or_else(|| Kind::Listener.missing(arn))
    }
}

/// `CreateListener`.
pub(super) fn create(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let tags = tag::given(call)?;
    let wanted = wanted(world, call)?;
    check(world, call, &wanted)?;
    let kind = state(world, call).load_balancers[&wanted.load_balancer].kind;
    let (code, default) = kind.listener_quota();
    let most = world.quota(code, default);
    let state = state(world, call);
    let on_port = state
        .siblings(&wanted.load_balancer)
        .find(|known| known.port == wanted.port);
    if let Some(existing) = on_port {
        if existing.is_like(&wanted) {
            return Ok(json!({"Listeners": [existing.describe()]}));
        }
        return Err(duplicate(&wanted));
    }
    if state.siblings(&wanted.load_balancer).count() as u64 >= most {
        return Err(Refusal::new(
            "TooManyListeners",
            "The maximum number of listeners of the load balancer has been reached",
        ));
    }
    let output = json!({"Listeners": [wanted.describe()]});
    state.tags.insert(wanted.arn.clone(), tags);
    state.listeners.insert(wanted.arn.clone(), wanted);
    super::target_group::note_use(world, call);
    Ok(output)
}

/// The listener that the call describes, not yet in existence.
fn wanted(world: &mut World, call: &Call<'_>) -> Result<Listener, Refusal> {
    let load_balancer = call.required("LoadBalancerArn");
    if !state(world, call)
        .load_balancers
        .contains_key(load_balancer)
    {
        return Err(Kind::LoadBalancer.missing(load_balancer));
    }
    let Some(port) = call.integer("Port") else {
        return Err(invalid("A listener port must be specified"));
    };
    let Some(protocol) = call.text("Protocol") else {
        return Err(invalid("A listener protocol must be specified"));
    };
    let path = format!("{}/{}", arn::path(load_balancer), world.unique_hex(16));
    let rule = format!("{path}/{}", world.unique_hex(16));
    let policy = is_secure(protocol).then_some(tls_policy::DEFAULT);
    Ok(Listener {
        arn: arn::make(world, call, &format!("listener/{path}")),
        load_balancer: load_balancer.to_owned(),
        port,
        protocol: protocol.to_owned(),
        ssl_policy: call.text("SslPolicy").or(policy).map(str::to_owned),
        certificate: listener_certificate::default(call)?,
        more_certificates: Vec::new(),
        default_action: action::given(call, "DefaultActions")?,
        default_rule: arn::make(world, call, &format!("listener-rule/{rule}")),
        mutual_authentication: mutual_authentication::given(call)?.unwrap_or_default(),
        attributes: Attributes::new(),
        alpn_policy: network::alpn_policy(call)?,
    })
}

fn duplicate(listener: &Listener) -> Refusal {
    Refusal::new(
        "DuplicateListener",
        format!(
            "A listener already exists on this port for this load balancer '{}'",
            listener.load_balancer
        ),
    )
}

/// The rules that hold for a listener whether it is created or modified.
fn check(world: &mut World, call: &Call<'_>, listener: &Listener) -> Result<(), Refusal> {
    let known = &state(world, call).load_balancers;
    let is_network = known
        .get(&listener.load_balancer)
        .is_some_and(LoadBalancer::is_network);
    match listener.protocol.as_str() {
        _ if is_network => network::check_listener(call, listener)?,
        "HTTP" | "HTTPS" if listener.alpn_policy.is_some() => {
            return Err(invalid(
                "An ALPN policy can only be specified for TLS listeners",
            ));
        }
        "HTTP" | "HTTPS" => {}
        other => {
            return Err(Refusal::new(
                "UnsupportedProtocol",
                format!("Protocol '{other}' is not supported by Application Load Balancers"),
            ));
        }
    }
    if listener.is_secure() {
        check_tls(world, call, listener)?;
    } else {
        check_plain(listener)?;
    }
    listener.default_action.check_protocol(&listener.protocol)?;
    let now = world.now;
    world.region(call.region);
    let state = &world.regions[call.region].elbv2;
    mutual_authentication::check(state, &listener.mutual_authentication, now)?;
    check_verifying(state, listener)?;
    let load_balancer = &state.load_balancers[&listener.load_balancer];
    network::check_protocols(state, &listener.protocol, &listener.default_action)?;
    action::check_target_groups(world, state, load_balancer, &listener.default_action)
}

fn check_tls(world: &mut World, call: &Call<'_>, listener: &Listener) -> Result<(), Refusal> {
    let policy = listener.ssl_policy.as_deref().unwrap_or_default();
    if TlsPolicy::named(policy).is_none() {
        return Err(tls_policy::not_found(policy));
    }
    let Some(certificate) = &listener.certificate else {
        return Err(invalid(format!(
            "A certificate must be specified for {} listeners",
            listener.protocol
        )));
    };
    listener_certificate::check(world, call, certificate)
}

fn check_plain(listener: &Listener) -> Result<(), Refusal> {
    let what = if listener.certificate.is_some() {
        "A certificate"
    } else if listener.ssl_policy.is_some() {
        "An SSL policy"
    } else if listener.mutual_authentication != MutualAuthentication::Off {
        "Mutual authentication"
    } else {
        return Ok(());
    };
    Err(invalid(format!(
        "{what} cannot be specified for {} listeners",
        listener.protocol
    )))
}

fn check_verifying(state: &State, listener: &Listener) -> Result<(), Refusal> {
    let verifies = |listener: &Listener| listener.mutual_authentication.trust_store().is_some();
    let others = state.siblings(&listener.load_balancer).filter(|other| {
        other.arn != listener.arn && other.port != listener.port && verifies(other)
    });
    if verifies(listener) && others.count() >= VERIFYING_LISTENERS {
        return Err(Refusal::new(
            "TooManyListeners",
            format!(
                "The maximum number of listeners with mutual authentication in verify mode is \
                 {VERIFYING_LISTENERS} per load balancer"
            ),
        ));
    }
    Ok(())
}

/// `DescribeListeners`.
pub(super) fn describe(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let arns = page::arns(call, "ListenerArns")?;
    let load_balancer = call.text("LoadBalancerArn");
    let state = state(world, call);
    if load_balancer.is_none() && arns.is_empty() {
        return Err(invalid(
            "You must specify either listener ARNs or a load balancer ARN",
        ));
    }
    page::one_selection(call, &["LoadBalancerArn", "ListenerArns"])?;
    if let Some(arn) = load_balancer.filter(|arn| !state.load_balancers.contains_key(*arn)) {
        return Err(Kind::LoadBalancer.missing(arn));
    }
    if let Some(missing) = arns.iter().find(|arn| !state.listeners.contains_key(**arn)) {
        return Err(Kind::Listener.missing(missing));
    }
    let wanted = |listener: &&Listener| {
        load_balancer == Some(&listener.load_balancer) || arns.contains(&listener.arn.as_str())
    };
    let found = state
        .listeners
        .values()
        .filter(wanted)
        .map(|listener| (listener.arn.clone(), listener.describe()))
        .collect();
    page::answer(call, "Listeners", found)
}

/// `ModifyListener`: what is not given stays as it is, mutual TLS included.
pub(super) fn modify(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let before = state(world, call).named_listener(call)?.clone();
    let changed = merged(&before, call)?;
    check(world, call, &changed)?;
    let mut siblings = state(world, call).siblings(&changed.load_balancer);
    if siblings.any(|other| other.arn != changed.arn && other.port == changed.port) {
        return Err(duplicate(&changed));
    }
    drop(siblings);
    let output = json!({"Listeners": [changed.describe()]});
    state(world, call)
        .listeners
        .insert(changed.arn.clone(), changed.clone());
    note_release(world, call, &before, Some(&changed));
    super::target_group::note_use(world, call);
    Ok(output)
}

/// The listener with what the call gives laid over it.
fn merged(before: &Listener, call: &Call<'_>) -> Result<Listener, Refusal> {
    let mut changed = before.clone();
    if let Some(port) = call.integer("Port") {
        changed.port = port;
    }
    if let Some(protocol) = call.text("Protocol") {
        protocol.clone_into(&mut changed.protocol);
    }
    if changed.protocol != before.protocol {
        // Becoming HTTP drops everything about TLS; becoming HTTPS starts from the defaults.
        changed.ssl_policy = changed.is_secure().then(|| tls_policy::DEFAULT.to_owned());
        changed.alpn_policy = None;
        changed.certificate = None;
        changed.more_certificates.clear();
        changed.mutual_authentication = MutualAuthentication::Off;
        let known = changed.attribute_tables().iter().copied().flatten();
        let known: Vec<&str> = known.map(|attribute| attribute.key).collect();
        changed
            .attributes
            .retain(|key, _| known.contains(&key.as_str()));
    }
    if let Some(policy) = call.text("SslPolicy") {
        changed.ssl_policy = Some(policy.to_owned());
    }
    if let Some(certificate) = listener_certificate::default(call)? {
        changed.certificate = Some(certificate);
    }
    if !call.list("DefaultActions").is_empty() {
        changed.default_action = action::given(call, "DefaultActions")?;
    }
    if let Some(policy) = network::alpn_policy(call)? {
        changed.alpn_policy = Some(policy);
    }
    if let Some(mutual_authentication) = mutual_authentication::given(call)? {
        changed.mutual_authentication = mutual_authentication;
    }
    Ok(changed)
}

/// `DeleteListener`.
pub(super) fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let arn = state(world, call).named_listener(call)?.arn.clone();
    remove(world, call, &arn);
    Ok(json!({}))
}

/// Removes a listener with its rules.
pub(super) fn remove(world: &mut World, call: &Call<'_>, arn: &str) {
    let elb = state(world, call);
    let Some(listener) = elb.listeners.remove(arn) else {
        return;
    };
    elb.tags.remove(arn);
    let rules: Vec<String> = elb
        .rules
        .values()
        .filter(|rule| rule.listener == arn)
        .map(|rule| rule.arn.clone())
        .collect();
    for rule in rules {
        elb.rules.remove(&rule);
        elb.tags.remove(&rule);
    }
    note_release(world, call, &listener, None);
    super::target_group::note_use(world, call);
}

/// Notes what a changed or deleted listener has let go of and others do not know yet: its trust
/// store goes on listing it, ACM goes on counting its certificates as used.
pub(super) fn note_release(
    world: &mut World,
    call: &Call<'_>,
    before: &Listener,
    after: Option<&Listener>,
) {
    let (now, until) = (world.now, world.due(PROPAGATION));
    let until_acm = world.due(listener_certificate::RELEASE);
    let state = state(world, call);
    let kept = after.and_then(|listener| listener.mutual_authentication.trust_store());
    if let Some(released) = before.mutual_authentication.trust_store()
        && kept != Some(released)
        && let Some(trust_store) = state.trust_stores.get_mut(released)
    {
        trust_store.release(&before.arn, until);
    }
    state
        .released_certificates
        .retain(|released| now < released.until);
    for certificate in before.certificates() {
        if !after.is_some_and(|listener| listener.uses_certificate(certificate)) {
            state.released_certificates.push(ReleasedCertificate {
                certificate: certificate.to_owned(),
                load_balancer: before.load_balancer.clone(),
                until: until_acm,
            });
        }
    }
}

/// `ModifyListenerAttributes`.
pub(super) fn modify_attributes(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let listener = state(world, call).named_listener(call)?;
    let given = super::attribute::given(call, "Listener", listener.attribute_tables())?;
    listener.attributes.extend(given);
    Ok(super::attribute::describe(
        listener.attribute_tables(),
        &listener.attributes,
    ))
}

/// `DescribeListenerAttributes`.
pub(super) fn describe_attributes(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let listener = state(world, call).named_listener(call)?;
    Ok(super::attribute::describe(
        listener.attribute_tables(),
        &listener.attributes,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Account;
    use super::*;

    /// An account with a load balancer and the input for an HTTPS listener on it.
    fn prepared(mut account: Account) -> (Account, Value) {
        let load_balancer = account.load_balancer();
        let target_group = account.target_group("endpoint");
        let input = account.listener_input(&load_balancer, &target_group);
        (account, input)
    }

    fn verify(trust_store: &str) -> Value {
        json!({"Mode": "verify", "TrustStoreArn": trust_store})
    }

    #[test]
    fn without_a_policy_it_gets_the_old_default() {
        let (mut account, mut input) = prepared(Account::fresh());
        input.as_object_mut().expect("members").remove("SslPolicy");
        let output = account.call("CreateListener", input.clone());
        assert_eq!(
            output["Listeners"][0]["SslPolicy"],
            "ELBSecurityPolicy-2016-08"
        );
        input["SslPolicy"] = json!("ELBSecurityPolicy-TLS14");
        input["Port"] = json!(8443);
        assert_eq!(
            account.refused("CreateListener", input),
            "SSLPolicyNotFound"
        );
    }

    #[test]
    fn creating_it_again_returns_it_unless_something_differs() {
        let (mut account, mut input) = prepared(Account::fresh());
        let first = account.listener(input.clone());
        assert_eq!(first, account.listener(input.clone()));
        input["SslPolicy"] = json!("ELBSecurityPolicy-TLS13-1-2-2021-06");
        assert_eq!(
            account.refused("CreateListener", input),
            "DuplicateListener"
        );
    }

    #[test]
    fn a_certificate_must_be_issued() {
        let (mut account, mut input) = prepared(Account::fresh());
        let pending = account.pending_certificate();
        input["Certificates"] = json!([{"CertificateArn": pending}]);
        assert_eq!(
            account.refused("CreateListener", input.clone()),
            "UnsupportedCertificate"
        );
        let unknown = "arn:aws:acm:ap-northeast-1:123456789012:certificate/none";
        input["Certificates"] = json!([{"CertificateArn": unknown}]);
        assert_eq!(
            account.refused("CreateListener", input),
            "CertificateNotFound"
        );
    }

    #[test]
    fn a_forward_is_told_in_both_forms() {
        let (mut account, input) = prepared(Account::fresh());
        let output = account.call("CreateListener", input.clone());
        let action = &output["Listeners"][0]["DefaultActions"][0];
        let group = &input["DefaultActions"][0]["TargetGroupArn"];
        assert_eq!(&action["TargetGroupArn"], group);
        assert_eq!(
            &action["ForwardConfig"]["TargetGroups"][0]["TargetGroupArn"],
            group
        );
    }

    #[test]
    fn a_redirect_is_told_with_what_it_leaves_alone() {
        let mut account = Account::fresh();
        let load_balancer = account.load_balancer();
        let config = json!({"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"});
        let output = account.call(
            "CreateListener",
            json!({
                "LoadBalancerArn": load_balancer,
                "Protocol": "HTTP",
                "Port": 80,
                "DefaultActions": [{"Type": "redirect", "RedirectConfig": config}],
            }),
        );
        let redirect = &output["Listeners"][0]["DefaultActions"][0]["RedirectConfig"];
        assert_eq!(redirect["Host"], "#{host}");
        assert_eq!(redirect["Path"], "/#{path}");
        assert_eq!(redirect["Query"], "#{query}");
        assert!(output["Listeners"][0].get("MutualAuthentication").is_none());
    }

    #[test]
    fn mutual_tls_stays_until_it_is_switched_off_by_name() {
        let (mut account, mut input) = prepared(Account::fresh());
        let trust_store = account.trust_store("partners");
        input["MutualAuthentication"] = verify(&trust_store);
        let listener = account.listener(input);
        let policy =
            json!({"ListenerArn": listener, "SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"});
        let output = account.call("ModifyListener", policy);
        let mutual = &output["Listeners"][0]["MutualAuthentication"];
        assert_eq!(mutual["Mode"], "verify");
        assert_eq!(mutual["IgnoreClientCertificateExpiry"], false);
        let off = json!({"ListenerArn": listener, "MutualAuthentication": {"Mode": "off"}});
        let output = account.call("ModifyListener", off);
        assert_eq!(
            output["Listeners"][0]["MutualAuthentication"],
            json!({"Mode": "off"})
        );
    }

    #[test]
    fn a_trust_store_goes_with_verify_and_with_nothing_else() {
        let (mut account, mut input) = prepared(Account::fresh());
        let trust_store = account.trust_store("partners");
        for mutual in [
            json!({"Mode": "verify"}),
            json!({"Mode": "off", "TrustStoreArn": trust_store}),
            json!({"Mode": "passthrough", "IgnoreClientCertificateExpiry": false}),
            json!({"Mode": "passthrough", "AdvertiseTrustStoreCaNames": "on"}),
            json!({"Mode": "on"}),
        ] {
            input["MutualAuthentication"] = mutual;
            assert_eq!(
                account.refused("CreateListener", input.clone()),
                "ValidationError"
            );
        }
        input["MutualAuthentication"] = verify(&format!("{trust_store}0"));
        assert_eq!(
            account.refused("CreateListener", input),
            "TrustStoreNotFound"
        );
    }

    #[test]
    fn a_trust_store_must_be_active() {
        let (mut account, mut input) = prepared(Account::realistic());
        let trust_store = account.trust_store("partners");
        input["MutualAuthentication"] = verify(&trust_store);
        assert_eq!(
            account.refused("CreateListener", input.clone()),
            "TrustStoreNotReady"
        );
        account.wait(5);
        account.listener(input);
    }

    #[test]
    fn a_third_verifying_listener_is_one_too_many() {
        let (mut account, mut input) = prepared(Account::fresh());
        let trust_store = account.trust_store("partners");
        input["MutualAuthentication"] = verify(&trust_store);
        for port in [443, 8443] {
            input["Port"] = json!(port);
            account.listener(input.clone());
        }
        input["Port"] = json!(9443);
        assert_eq!(
            account.refused("CreateListener", input.clone()),
            "TooManyListeners"
        );
        input["MutualAuthentication"] = json!({"Mode": "passthrough"});
        account.listener(input);
    }

    #[test]
    fn becoming_http_drops_everything_about_tls() {
        let (mut account, mut input) = prepared(Account::fresh());
        let trust_store = account.trust_store("partners");
        input["MutualAuthentication"] = verify(&trust_store);
        let listener = account.listener(input.clone());
        let plain = json!({"ListenerArn": listener, "Protocol": "HTTP", "Port": 80});
        let output = account.call("ModifyListener", plain);
        assert!(output["Listeners"][0].get("SslPolicy").is_none());
        let secure = json!({"ListenerArn": listener, "Protocol": "HTTPS"});
        assert_eq!(account.refused("ModifyListener", secure), "ValidationError");
    }

    #[test]
    fn the_header_names_of_mutual_tls_can_be_changed() {
        let (mut account, input) = prepared(Account::fresh());
        let listener = account.listener(input);
        let key = "routing.http.request.x_amzn_mtls_clientcert_leaf.header_name";
        let change = |value: &str| json!({"ListenerArn": listener, "Attributes": [{"Key": key, "Value": value}]});
        account.call("ModifyListenerAttributes", change("X-Client-Leaf"));
        assert_eq!(
            account.refused("ModifyListenerAttributes", change("a b")),
            "ValidationError"
        );
        let output = account.call(
            "DescribeListenerAttributes",
            json!({"ListenerArn": listener}),
        );
        let changed = json!({"Key": key, "Value": "X-Client-Leaf"});
        assert!(
            output["Attributes"]
                .as_array()
                .expect("a list")
                .contains(&changed)
        );
    }

    #[test]
    fn a_target_group_serves_one_load_balancer() {
        let (mut account, mut input) = prepared(Account::fresh());
        account.listener(input.clone());
        let subnets = account.subnets();
        let second = json!({"Name": "second", "Subnets": subnets});
        let output = account.call("CreateLoadBalancer", second);
        input["LoadBalancerArn"] = output["LoadBalancers"][0]["LoadBalancerArn"].clone();
        assert_eq!(
            account.refused("CreateListener", input),
            "TargetGroupAssociationLimit"
        );
    }

    #[test]
    fn acm_sees_late_that_a_certificate_was_let_go_of() {
        let (mut account, input) = prepared(Account::realistic());
        let certificate = input["Certificates"][0]["CertificateArn"].clone();
        let certificate = certificate.as_str().expect("an ARN");
        let listener = account.listener(input);
        account.call("DeleteListener", json!({"ListenerArn": listener}));
        let users = |account: &mut Account| {
            let now = account.world.now;
            let elb = &account.world.region("ap-northeast-1").elbv2;
            elb.users_of_certificate(certificate, now).len()
        };
        assert_eq!(users(&mut account), 1);
        account.wait(120);
        assert_eq!(users(&mut account), 0);
    }
}
