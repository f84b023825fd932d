//! A regional custom domain: the name by which API Gateway knows which API a request is for.
//!
//! Natural key: the domain, unique in the region across all AWS accounts. Clients reach it at the
//! load balancer; the regional endpoint that AWS makes along with it refuses private APIs.
//!
//! IAM: apigateway:GET/POST/PATCH/DELETE on /domainnames, /domainnames/* and /tags/*.
//! AWS: API Gateway REST API Reference, `CreateDomainName`.

use aws_sdk_apigateway::operation::get_domain_name::GetDomainNameOutput;
use aws_sdk_apigateway::types::{
    DomainNameStatus, EndpointConfiguration, EndpointType, SecurityPolicy,
};

use super::context::Wait;
use super::rest_api::{self, PAGE, put_tags, replace};
use super::{Address, Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource};
use super::{base_path_mapping, record_set};
use crate::aws::tags::Tags;
use crate::aws::{Aws, AwsError, pages, tolerate};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};

/// A custom domain of ours.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DomainName {
    /// The domain, lower case; fixed.
    pub(crate) name: String,
    /// The ARN of the certificate of its regional endpoint.
    pub(crate) certificate: Late<String>,
    /// `TLS_1_0` or `TLS_1_2`.
    pub(crate) security_policy: String,
    /// Its tags.
    pub(crate) tags: Tags,
    /// Tags of a live one that remember records nothing wants any more, which still stand.
    pub(crate) lingering: Tags,
}

impl Resource for DomainName {
    const TYPE: &'static str = "AWS::ApiGateway::DomainName";

    fn needs(&self) -> Vec<Need> {
        vec![Need::ready(&self.certificate)]
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            name,
            certificate,
            security_policy,
            tags,
            lingering: _,
        } = self;
        diff.field("name", name, live.map(|live| &live.name))
            .replaces();
        diff.late(
            "certificate",
            certificate,
            live.map(|live| &live.certificate),
        );
        diff.field(
            "security_policy",
            security_policy,
            live.map(|live| &live.security_policy),
        )
        .widens_if(|| security_policy == "TLS_1_0");
        diff.tags(tags, live.map(|live| &live.tags));
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    async fn adopt(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        let path = format!("/domainnames/{}", self.name);
        put_tags(cx, &path, &self.tags, &live.spec.tags).await
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let domains = list(&reader.aws).await?;
        let mut all: Vec<_> = domains
            .iter()
            .flat_map(|domain| found(reader, domain))
            .collect();
        for one in all.iter_mut().filter(|one| one.owner == Owner::Ours) {
            let want = reader.wanted_in::<Self>(&one.stack);
            let want = want.get(&one.address).map(|want| &want.tags);
            let tags = std::mem::take(&mut one.spec.tags);
            (one.spec.tags, one.spec.lingering) =
                record_set::take_lingering(&reader.aws, want, tags).await?;
        }
        Ok(all)
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let send = cx
            .aws()
            .apigateway
            .create_domain_name()
            .domain_name(&self.name)
            .regional_certificate_arn(cx.value(&self.certificate)?)
            .endpoint_configuration(
                EndpointConfiguration::builder()
                    .types(EndpointType::Regional)
                    .build(),
            )
            .security_policy(SecurityPolicy::from(self.security_policy.as_str()))
            .set_tags(Some(self.tags.0.clone().into_iter().collect()))
            .send();
        match cx.aws().call("apigateway:CreateDomainName", send).await {
            Ok(made) => {
                let outputs = outputs(made.regional_domain_name(), made.regional_hosted_zone_id());
                Ok(Created {
                    id: self.name.clone(),
                    outputs,
                })
            }
            // AWS says so with either code, also when it was we who made it and the answer was lost.
            Err(error) if error.message.contains("already exists") => match self.made(cx).await? {
                Some(outputs) => Ok(Created {
                    id: self.name.clone(),
                    outputs,
                }),
                None => Err(self.taken(cx, &error)),
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn ready(&self, cx: &Cx, _id: &str) -> Result<Outputs> {
        let what = format!("`{}` to become available", self.name);
        let wait = Wait::new(what, 10, 900).at_most(cx.timeout("domain"));
        cx.wait_until(wait, || async {
            let domain = get(cx.aws(), &self.name).await?;
            let explained = domain
                .domain_name_status_message()
                .unwrap_or("AWS does not say why");
            match domain.domain_name_status() {
                None | Some(DomainNameStatus::Available) => Ok(Some(outputs(
                    domain.regional_domain_name(),
                    domain.regional_hosted_zone_id(),
                ))),
                Some(DomainNameStatus::Updating | DomainNameStatus::Pending) => Ok(None),
                Some(stuck) => Err(Error::step(
                    &cx.address,
                    format!("the domain is {}: {explained}", stuck.as_str()),
                )),
            }
        })
        .await
    }

    async fn update(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        let mut patches = Vec::new();
        if touches(changes, "certificate") {
            patches.push(replace(
                "/regionalCertificateArn",
                cx.value(&self.certificate)?,
            ));
        }
        if touches(changes, "security_policy") {
            patches.push(replace("/securityPolicy", &self.security_policy));
        }
        if !patches.is_empty() {
            rest_api::when_free(cx, || async {
                let update = cx
                    .aws()
                    .apigateway
                    .update_domain_name()
                    .domain_name(&self.name);
                let send = update.set_patch_operations(Some(patches.clone())).send();
                cx.aws()
                    .call("apigateway:UpdateDomainName", send)
                    .await
                    .map(drop)
                    .map_err(Error::from)
            })
            .await?;
        }
        if touches(changes, "tags") {
            put_tags(
                cx,
                &format!("/domainnames/{}", self.name),
                &self.tags,
                &live.spec.tags,
            )
            .await?;
        }
        Ok(Outputs::new())
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        rest_api::when_free(cx, || async {
            let send = cx
                .aws()
                .apigateway
                .delete_domain_name()
                .domain_name(&live.id)
                .send();
            tolerate(
                cx.aws().call("apigateway:DeleteDomainName", send).await,
                &["NotFound"],
            )
        })
        .await
    }

    async fn foreign_children(reader: &Reader, live: &Found<Self>) -> Result<Vec<String>> {
        base_path_mapping::foreign(reader, live).await
    }
}

impl DomainName {
    /// The outputs of the domain of this name, if it is this one.
    async fn made(&self, cx: &Cx) -> Result<Option<Outputs>> {
        let domain = match get(cx.aws(), &self.name).await {
            // Somebody else's account has it.
            Err(error) if error.is("NotFound") => return Ok(None),
            other => other?,
        };
        let tags = Tags::live(domain.tags.clone().unwrap_or_default());
        let ours = tags.stack() == Some(cx.stack()) && tags.address().as_ref() == Some(&cx.address);
        Ok(ours.then(|| {
            outputs(
                domain.regional_domain_name(),
                domain.regional_hosted_zone_id(),
            )
        }))
    }

    fn taken(&self, cx: &Cx, error: &AwsError) -> Error {
        Error::Step {
            address: cx.address.clone(),
            message: error.without_address(),
            hint: Some(format!(
                "custom domains are unique in a region across all AWS accounts: delete `{}` where it is, or use another name",
                self.name
            )),
        }
    }
}

async fn get(aws: &Aws, name: &str) -> Result<GetDomainNameOutput, AwsError> {
    aws.call(
        "apigateway:GetDomainName",
        aws.apigateway.get_domain_name().domain_name(name).send(),
    )
    .await
}

async fn list(aws: &Aws) -> Result<Vec<aws_sdk_apigateway::types::DomainName>> {
    pages(async |position| {
        let send = aws
            .apigateway
            .get_domain_names()
            .limit(PAGE)
            .set_position(position)
            .send();
        let page = aws.call("apigateway:GetDomainNames", send).await?;
        Ok((page.items.unwrap_or_default(), page.position))
    })
    .await
}

/// Our domain, or one that stands under the name of a wanted one.
fn found(
    reader: &Reader,
    domain: &aws_sdk_apigateway::types::DomainName,
) -> Vec<Found<DomainName>> {
    let types = domain
        .endpoint_configuration()
        .map(EndpointConfiguration::types)
        .unwrap_or_default();
    if types.contains(&EndpointType::Private) {
        // It lives in a name space of its own, where names repeat.
        return Vec::new();
    }
    let mut spec = live_spec(domain);
    let name = &spec.name;
    spec.tags = reader.claimed::<DomainName>(name, spec.tags.clone(), |_, want| want.name == *name);
    let found = |stack: &str, address, owner| Found {
        stack: stack.to_owned(),
        address,
        id: spec.name.clone(),
        owner,
        protected: spec.tags.protected(),
        retained: None,
        spec: spec.clone(),
        outputs: outputs(
            domain.regional_domain_name(),
            domain.regional_hosted_zone_id(),
        ),
    };
    let ours = spec.tags.stack().filter(|stack| reader.has_stack(stack));
    if let (Some(stack), Some(address)) = (ours, spec.tags.address()) {
        let address = renamed(reader, stack, &spec.name).unwrap_or(address);
        return vec![found(stack, address, Owner::Ours)];
    }
    let whose = format!(
        "the custom domain `{}` exists and is not this stack's",
        spec.name
    );
    reader
        .wanted::<DomainName>()
        .filter(|(_, _, want)| want.name == spec.name)
        .map(|(scope, address, _)| {
            found(&scope.name, address.clone(), Owner::Foreign(whose.clone()))
        })
        .collect()
}

/// The address at which a stack wants a domain; another one than it has when its section is renamed.
fn renamed(reader: &Reader, stack: &str, name: &str) -> Option<Address> {
    let mut wanted = reader.wanted::<DomainName>();
    wanted
        .find(|(scope, _, want)| scope.name == stack && want.name == name)
        .map(|(_, address, _)| address.clone())
}

fn live_spec(domain: &aws_sdk_apigateway::types::DomainName) -> DomainName {
    let tags = domain.tags().into_iter().flatten();
    DomainName {
        name: domain.domain_name().unwrap_or_default().to_owned(),
        certificate: Late::Known(
            domain
                .regional_certificate_arn()
                .unwrap_or_default()
                .to_owned(),
        ),
        security_policy: domain
            .security_policy()
            .map_or("", SecurityPolicy::as_str)
            .to_owned(),
        tags: Tags::live(tags.map(|(key, value)| (key.as_str(), value.as_str()))),
        lingering: Tags::default(),
    }
}

fn outputs(name: Option<&str>, zone: Option<&str>) -> Outputs {
    let named = [
        ("regional_domain_name", name),
        ("regional_hosted_zone_id", zone),
    ];
    named
        .into_iter()
        .filter_map(|(key, value)| Some((key, vec![value?.to_owned()])))
        .collect()
}

/// The regional custom domains, of whomever they are, each with the DNS name of its regional front.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn look(aws: &Aws) -> Result<Vec<(DomainName, String)>> {
    let all = list(aws).await?;
    let is_regional = |one: &&aws_sdk_apigateway::types::DomainName| {
        one.endpoint_configuration()
            .is_some_and(|configuration| configuration.types().contains(&EndpointType::Regional))
    };
    let looked = all.iter().filter(is_regional).map(|one| {
        let front = one.regional_domain_name().unwrap_or_default();
        (live_spec(one), front.to_owned())
    });
    Ok(looked.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(security_policy: &str) -> DomainName {
        let live = aws_sdk_apigateway::types::DomainName::builder()
            .domain_name("api.example.com")
            .regional_certificate_arn("arn:aws:acm:eu-west-1:111122223333:certificate/1")
            .security_policy(SecurityPolicy::from(security_policy));
        live_spec(&live.build())
    }

    fn changes(want: &DomainName, live: &DomainName) -> Vec<Change> {
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        want.diff(Some(live), &mut diff);
        diff.into_changes()
    }

    #[test]
    fn an_older_tls_version_widens_access() {
        assert!(changes(&domain("TLS_1_0"), &domain("TLS_1_2"))[0].widens);
        assert!(!changes(&domain("TLS_1_2"), &domain("TLS_1_0"))[0].widens);
    }

    #[test]
    fn a_new_certificate_is_put_in_place() {
        let want = DomainName {
            certificate: Late::id(&Address::parse("certificate")),
            ..domain("TLS_1_2")
        };
        let change = &changes(&want, &domain("TLS_1_2"))[0];
        assert!(change.after_unknown && !change.replaces);
    }

    #[test]
    fn another_name_is_another_domain() {
        let want = DomainName {
            name: "shop.example.com".to_owned(),
            ..domain("TLS_1_2")
        };
        assert!(changes(&want, &domain("TLS_1_2"))[0].replaces);
    }
}
