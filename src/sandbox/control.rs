//! The control endpoint: what the sandbox is told and asked that AWS is not.
//!
//! `GET timing`, `GET dump`, `GET calls`, `DELETE calls`, `POST faults` (their text form),
//! `DELETE faults`, `PUT rates` (`off` or `documented`), `GET refused` (how often each
//! operation went beyond them), `POST clock` (seconds to let pass), `POST quotas` (`code=value`), `GET hosts`, `POST hosts`
//! (`10.0.1.5:443=127.0.0.1:8443`), `DELETE hosts` (`10.0.1.5:443`), `POST reset`, `GET hold` (keeps this process serving for as long as the
//! connection lasts), and those of the data plane (`GET ca`, `GET listeners`, `POST logs`, `GET resolve`,
//! `GET connect`); all below `/_sandbox/`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::account::Account;
use super::data_plane;
use super::error::SandboxError;
use super::fault;
use super::wire::{Request, Response};
use super::world::World;

/// Answers a control request.
pub(super) fn answer(account: &mut Account, command: &str, request: &Request) -> Response {
    account.tick();
    let text = String::from_utf8_lossy(&request.body);
    let result = match (request.method.as_str(), command) {
        ("GET", "timing") => {
            Ok(json!({ "timing": account.timing().to_string(), "now": account.world.now }))
        }
        ("GET", "dump") => Ok(dumped(&account.world)),
        ("GET", "calls") => Ok(json!(counted(account.store.calls()))),
        ("DELETE", "calls") => done(account.store.forget_calls()),
        ("POST", "faults") => fault::parse_list(&text).map(|faults| {
            account.faults.add(faults);
            json!({})
        }),
        ("DELETE", "faults") => {
            account.faults.clear();
            Ok(json!({}))
        }
        ("PUT", "rates") => text.trim().parse().map(|rates| {
            account.rates = rates;
            json!({})
        }),
        ("GET", "refused") => Ok(json!(account.buckets.refused())),
        ("POST", "clock") => advance(account, &text),
        ("POST", "quotas") => raise_quota(account, &text),
        ("GET", "hosts") => Ok(data_plane::listed_hosts(&account.world)),
        ("POST", "hosts") => data_plane::register_host(&mut account.world, &text)
            .and_then(|hosts| saved(account, hosts)),
        ("DELETE", "hosts") => data_plane::remove_host(&mut account.world, &text)
            .and_then(|hosts| saved(account, hosts)),
        ("POST", "reset") => done(account.reset()),
        (method, _) => {
            return written(
                404,
                &json!({ "message": format!("there is no {method} {command}") }),
            );
        }
    };
    match result {
        Ok(answer) => written(200, &answer),
        Err(message) => written(400, &json!({ "message": message })),
    }
}

fn done(result: Result<(), SandboxError>) -> Result<Value, String> {
    result
        .map(|()| json!({}))
        .map_err(|error| error.to_string())
}

fn saved(account: &mut Account, answer: Value) -> Result<Value, String> {
    done(account.store.save(&account.world)).map(|_| answer)
}

fn advance(account: &mut Account, text: &str) -> Result<Value, String> {
    let seconds = text
        .trim()
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    account.advance(seconds.ok_or_else(|| format!("`{text}` is no number of seconds"))?);
    done(account.store.save(&account.world))
}

fn raise_quota(account: &mut Account, text: &str) -> Result<Value, String> {
    let pair = text
        .trim()
        .split_once('=')
        .and_then(|(code, value)| Some((code, value.parse().ok()?)));
    let (code, value) = pair.ok_or_else(|| format!("`{text}` is not of the form code=value"))?;
    account.world.quotas.insert(code.to_owned(), value);
    done(account.store.save(&account.world))
}

/// Everything the account holds, without private keys and object contents.
pub(super) fn dumped(world: &World) -> Value {
    serde_json::to_value(world).expect("the account has text keys only")
}

/// How often each operation was called.
pub(super) fn counted(calls: Vec<String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(call).or_default() += 1;
    }
    counts
}

fn written(status: u16, body: &Value) -> Response {
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    Response {
        status,
        headers,
        body: body.to_string().into_bytes(),
    }
}

/// Sends a control request to the process that serves a sandbox; `body` is its text.
pub(super) fn send(url: &str, request: (&str, &str), body: &str) -> Result<String, SandboxError> {
    match ask(url, request, body)? {
        (200, answer) => Ok(answer),
        (_, reason) => Err(SandboxError::Refused {
            url: url.to_owned(),
            reason,
        }),
    }
}

/// Sends a control request, of which a refusal is one of the answers; gives status and body.
pub(super) fn ask(
    url: &str,
    (method, command): (&str, &str),
    body: &str,
) -> Result<(u16, String), SandboxError> {
    let failed = |source| SandboxError::Connection {
        url: url.to_owned(),
        source,
    };
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).map_err(failed)?;
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .map_err(failed)?;
    let length = body.len();
    let head = format!(
        "{method} /_sandbox/{command} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok((status.unwrap_or_default(), body.to_owned()))
}
