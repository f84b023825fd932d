//! One account behind the wire: takes a request through signature, faults, rates and validation to
//! its handler, and makes what it did durable before it is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::acm::KeyMaker;
use super::chunk;
use super::clock::{Clock, Timing};
use super::error::SandboxError;
use super::fault::{Effect, Faults};
use super::rate::{Buckets, Draw, Rates};
use super::s3;
use super::signature::{self, Scope};
use super::store::{self, Store};
use super::wire::{self, Named, Request, Response, Service};
use super::witness::outages_of;
use super::world::{Call, Caller, NOT_MODELLED, Refusal, World};

/// The simulated account with all that surrounds it.
#[derive(Debug)]
pub(super) struct Account {
    /// What the account holds.
    pub(super) world: World,
    /// Where it is kept.
    pub(super) store: Store,
    /// The faults in force.
    pub(super) faults: Faults,
    /// Whether calls are held to AWS's rates.
    pub(super) rates: Rates,
    clock: Clock,
    /// What is left of them.
    pub(super) buckets: Buckets,
    /// What was before each service's last write, for stale reads.
    before: BTreeMap<&'static str, Arc<[u8]>>,
    /// Writes that reads do not see yet.
    unseen: Vec<Unseen>,
    /// Counts the requests that were answered, for their ids.
    requests: u64,
    /// `http://127.0.0.1:PORT`.
    endpoint: String,
}

/// A write that the next reads of its service do not see.
#[derive(Debug)]
struct Unseen {
    service: &'static str,
    /// What was before it.
    before: Arc<[u8]>,
    /// For so many calls of each operation.
    reads: u32,
    /// How many of each there were.
    seen: BTreeMap<&'static str, u32>,
}

impl Unseen {
    /// Counts a read, and gives what it is to see if that is not the present.
    fn read(&mut self, service: &str, operation: &'static str) -> Option<Arc<[u8]>> {
        // The tags of all services are the tagging API's content.
        if service != self.service && service != "tagging" {
            return None;
        }
        let seen = self.seen.entry(operation).or_default();
        *seen = seen.saturating_add(1);
        (*seen <= self.reads).then(|| Arc::clone(&self.before))
    }
}

/// What is to be done about a request.
#[derive(Debug)]
pub(super) enum Reply {
    /// Answer it.
    Answer(Response),
    /// Close the connection without a byte.
    Silence,
    /// End the process as if it had been killed.
    Exit,
}

impl Account {
    /// An account that was read from its store.
    pub(super) fn new(
        (store, mut world): (Store, World),
        timing: Timing,
        endpoint: String,
    ) -> Self {
        let clock = Clock::new(timing, world.now);
        if timing != Timing::Instant {
            world.key_maker = KeyMaker::ahead();
        }
        Self {
            world,
            store,
            faults: Faults::default(),
            rates: Rates::Off,
            clock,
            buckets: Buckets::default(),
            before: BTreeMap::new(),
            unseen: Vec::new(),
            requests: 0,
            endpoint,
        }
    }

    /// How fast time passes.
    pub(super) fn timing(&self) -> Timing {
        self.clock.timing()
    }

    /// Lets time pass at once.
    pub(super) fn advance(&mut self, duration: Duration) {
        self.clock.advance(duration);
        self.tick();
    }

    /// Brings the world to the present.
    pub(super) fn tick(&mut self) {
        self.world.now = self.world.now.max(self.clock.now());
        self.world.instant = self.timing() == Timing::Instant;
    }

    /// Goes back to what is saved, after a handler that did not come to its end.
    pub(super) fn recover(&mut self) {
        self.world = self.past(&self.store.snapshot());
    }

    /// Begins anew, with a fresh account.
    pub(super) fn reset(&mut self) -> Result<(), SandboxError> {
        let now = self.world.now;
        self.world = World {
            now,
            key_maker: self.world.key_maker.clone(),
            ..World::fresh(&self.world.account)
        };
        self.before.clear();
        self.unseen.clear();
        self.faults.clear();
        self.store.forget_calls()?;
        self.store.save(&self.world)
    }

    /// Answers a request to one of the services.
    pub(super) fn answer(&mut self, mut request: Request) -> Result<Reply, SandboxError> {
        self.tick();
        self.requests += 1;
        let id = format!("00000000-0000-4000-8000-{:012x}", self.requests);
        let (service, scope) = match find(&request) {
            Ok(found) => found,
            Err(refusal) => {
                return Ok(Reply::Answer(wire::encode_stranger(
                    &request, &refusal, &id,
                )));
            }
        };
        let caller = match service.name {
            "s3" => admit(&mut request, self.world.now),
            _ => Ok(Caller::Account),
        };
        let named = caller.and_then(|caller| {
            self.world.caller = caller;
            wire::name(service, &request)
        });
        let exchange = Exchange {
            service,
            scope: &scope,
            request: &request,
            id: &id,
        };
        let mut reply = match named {
            Ok(named) => self.strike(&exchange, &named)?,
            Err(refusal) => exchange.refuse(&refusal),
        };
        if let Reply::Answer(response) = &mut reply {
            response
                .headers
                .push(("Date".to_owned(), wire::http_date(self.world.now)));
            // Errors to HEAD have no body, their status is all that they say.
            if request.method == "HEAD" {
                response.body.clear();
            }
        }
        Ok(reply)
    }

    /// Counts a call, and lets the fault happen to it that is due, if any.
    fn strike(&mut self, exchange: &Exchange<'_>, named: &Named) -> Result<Reply, SandboxError> {
        let Exchange { service, scope, .. } = exchange;
        let operation = named.operation;
        let call = format!("{}:{operation}", service.name);
        self.store
            .log(&call, exchange.request.round, self.world.now)?;
        let effect = self.faults.strike(service.name, operation);
        let draw = Draw {
            service: service.name,
            operation,
            region: &scope.region,
        };
        let is_limited = self.rates == Rates::Documented && self.timing() != Timing::Instant;
        if is_limited && !self.buckets.draw(draw, self.world.now) {
            return Ok(exchange.refuse(&service.throttled.refusal("Rate exceeded")));
        }
        Ok(match effect {
            None => match self.unseen_by(service.name, operation) {
                Some(before) => self.recall(exchange, named, &before),
                None => self.perform(exchange, named)?,
            },
            Some(Effect::Throttle) => exchange.refuse(&service.throttled.refusal("Rate exceeded")),
            Some(Effect::Deny) => exchange.refuse(&denial(service, operation, &self.world.account)),
            Some(Effect::Fail(code, status)) => {
                let message = format!("the sandbox was told to fail {operation}");
                exchange.refuse(&Refusal::new(&code, message).with_status(status))
            }
            Some(Effect::FailBefore) => exchange.refuse(&failure(service)),
            Some(Effect::ExitBefore) => Reply::Exit,
            Some(Effect::Stale) => {
                let before = self.before.get(service.name).cloned();
                let before = before.unwrap_or_else(|| self.store.snapshot());
                self.recall(exchange, named, &before)
            }
            Some(Effect::StaleReads(reads)) => {
                let before = self.store.snapshot();
                let reply = self.perform(exchange, named)?;
                self.unseen.push(Unseen {
                    service: service.name,
                    before,
                    reads,
                    seen: BTreeMap::new(),
                });
                reply
            }
            Some(Effect::FailAfter) => {
                self.perform(exchange, named)?;
                exchange.refuse(&failure(service))
            }
            Some(Effect::LoseReply) => {
                self.perform(exchange, named)?;
                Reply::Silence
            }
            Some(Effect::ExitAfter) => {
                self.perform(exchange, named)?;
                Reply::Exit
            }
        })
    }

    /// Performs a call on the account, and makes its effect durable.
    ///
    /// A refused call changes nothing, however far its handler had come.
    fn perform(&mut self, exchange: &Exchange<'_>, named: &Named) -> Result<Reply, SandboxError> {
        let sequence = self.world.sequence;
        let is_write = !is_read(named.operation);
        let before = if is_write {
            outages_of(&self.world)
        } else {
            BTreeSet::new()
        };
        let result = exchange.call(named, &mut self.world, &self.endpoint);
        match result {
            Ok(response) => {
                if is_write {
                    self.notice(named.operation, &before)?;
                    // The tags of all services are the tagging API's content.
                    for name in [exchange.service.name, "tagging"] {
                        self.before.insert(name, self.store.snapshot());
                    }
                }
                // A read may furnish a region, whose ids must not be given out again.
                if is_write || self.world.sequence != sequence {
                    self.store.save(&self.world)?;
                }
                Ok(Reply::Answer(response))
            }
            Err(refusal) => {
                if !is_read(named.operation) && self.store.differs(&mut self.world) {
                    self.world = self.past(&self.store.snapshot());
                }
                Ok(exchange.refuse(&refusal))
            }
        }
    }

    /// Notes what clients would notice of a call, given what did not work before it.
    fn notice(&self, operation: &str, before: &BTreeSet<String>) -> Result<(), SandboxError> {
        // Nobody was led to a new listener yet, and its targets are only checked from now on.
        if operation == "CreateListener" {
            return Ok(());
        }
        let after = outages_of(&self.world);
        let mut new = after.difference(before);
        new.try_for_each(|outage| self.store.notice(operation, outage))
    }

    /// The account as a snapshot has it, at the present time.
    fn past(&self, snapshot: &[u8]) -> World {
        let mut world = store::revived(snapshot, &self.world);
        world.now = self.world.now;
        world.instant = self.world.instant;
        world.caller = self.world.caller;
        world.observed = self.world.observed.clone();
        world.key_maker = self.world.key_maker.clone();
        world
    }

    /// What a read is to see in place of the present: what was before the first write it misses.
    fn unseen_by(&mut self, service: &str, operation: &'static str) -> Option<Arc<[u8]>> {
        // S3 shows objects as they are at once; buckets and their settings it does not.
        let is_of_objects = service == "s3" && operation.contains("Object");
        if !is_read(operation) || is_of_objects {
            return None;
        }
        let unseen = self.unseen.iter_mut();
        let before: Vec<_> = unseen
            .filter_map(|write| write.read(service, operation))
            .collect();
        before.into_iter().next()
    }

    /// Answers a read from the past.
    fn recall(&mut self, exchange: &Exchange<'_>, named: &Named, snapshot: &[u8]) -> Reply {
        let mut world = self.past(snapshot);
        match exchange.call(named, &mut world, &self.endpoint) {
            Ok(response) => Reply::Answer(response),
            Err(refusal) => exchange.refuse(&refusal),
        }
    }
}

/// A request on its way to its service.
struct Exchange<'a> {
    service: &'static Service,
    scope: &'a Scope,
    request: &'a Request,
    id: &'a str,
}

impl Exchange<'_> {
    fn refuse(&self, refusal: &Refusal) -> Reply {
        if refusal.code == NOT_MODELLED {
            tracing::warn!("{}", refusal.message);
        }
        Reply::Answer(wire::encode_refusal(self.service, refusal, self.id))
    }

    /// Reads the input, calls the handler, writes its output.
    fn call(&self, named: &Named, world: &mut World, endpoint: &str) -> Result<Response, Refusal> {
        let input = wire::decode(self.service, named, self.request)?;
        let call = Call {
            operation: named.operation,
            region: &self.scope.region,
            input: &input,
            body: &self.request.body,
            endpoint,
        };
        let output: Value = (self.service.handle)(world, &call)?;
        wire::encode(self.service, named.operation, (&output, self.id)).map_err(|reason| {
            tracing::error!(
                operation = named.operation,
                reason,
                "an answer does not fit the model"
            );
            self.service.failed.refusal(&format!(
                "the sandbox's answer does not fit the model: {reason}"
            ))
        })
    }
}

/// The service that a request is signed for.
fn find(request: &Request) -> Result<(&'static Service, Scope), Refusal> {
    let scope = signature::scope(request)?;
    let service = wire::service(&scope.service).ok_or_else(|| {
        Refusal::new(
            NOT_MODELLED,
            format!("the sandbox does not model the service `{}`", scope.service),
        )
    })?;
    if !is_region(&scope.region) {
        let message = format!("`{}` is no region", scope.region);
        return Err(Refusal::new(NOT_MODELLED, message));
    }
    Ok((service, scope))
}

/// Whether a name has the form of a region's, `ap-northeast-1`: a slip would furnish a new one.
fn is_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let is_word =
        |part: &&str| part.len() >= 2 && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let [words @ .., number] = parts.as_slice() else {
        return false;
    };
    words.len() >= 2
        && words.iter().all(is_word)
        && number.len() == 1
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Brings a request to S3 to its plain form, and verifies what it brings to be verified.
fn admit(request: &mut Request, now: i64) -> Result<Caller, Refusal> {
    let caller = s3::check_presigned(request, now)?;
    chunk::unframe(request).map_err(|reason| Refusal::new("IncompleteBody", reason))?;
    s3::verify(request)?;
    move_bucket_to_path(request);
    Ok(caller)
}

/// Makes `bucket.localhost/key` the path `/bucket/key`.
fn move_bucket_to_path(request: &mut Request) {
    let host = request.header("host").unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let ends = [".localhost", ".s3."];
    let bucket = ends
        .iter()
        .find_map(|end| host.find(end))
        .map(|end| &host[..end]);
    if let Some(bucket) = bucket.filter(|bucket| !bucket.is_empty() && *bucket != "s3") {
        request.path = format!("/{bucket}{}", request.path);
    }
}

fn is_read(operation: &str) -> bool {
    ["Describe", "Get", "Head", "List", "Test"]
        .iter()
        .any(|prefix| operation.starts_with(prefix))
}

fn denial(service: &Service, operation: &str, account: &str) -> Refusal {
    let user = format!("arn:aws:iam::{account}:user/sandbox");
    let message = format!(
        "User: {user} is not authorized to perform: {}:{operation}",
        service.iam_prefix()
    );
    service.denied.refusal(&message)
}

fn failure(service: &Service) -> Refusal {
    service
        .failed
        .refusal("We encountered an internal error. Please try again.")
}
