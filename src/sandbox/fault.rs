//! Faults that the sandbox is told to have, by operation and count.

use std::fmt;
use std::str::FromStr;

/// A fault, written `[service:]operation[#nth][xcount]=effect`.
///
/// `CreateListener#2x1=throttle` throttles the second `CreateListener`, `*#5=exit-after` ends the
/// process after the fifth call of all, `elbv2:*x3=500` fails the first three calls of a service.
/// Without `#nth` it is the first, without `xcount` one; `x*` is for ever. Counting begins when the
/// fault is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    service: Option<String>,
    operation: String,
    nth: u32,
    count: u32,
    effect: Effect,
}

/// What a fault does to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// `throttle`: refused as too fast, in the service's way.
    Throttle,
    /// `deny`: refused for want of a permission, in the service's way.
    Deny,
    /// `fail:<Code>[:<status>]`: refused with that code.
    Fail(String, u16),
    /// `500`: the service fails before it does anything.
    FailBefore,
    /// `fail-after`: the service fails, but did what it was asked for.
    FailAfter,
    /// `lose-reply`: the service does what it was asked for, the connection closes without a byte.
    LoseReply,
    /// `stale[:<n>]`: the next n reads see what was before the service's last write.
    Stale,
    /// `stale-reads[:<n>]`: the service does what it was asked for, and the next n calls of each of its
    /// reading operations see what was before.
    StaleReads(u32),
    /// `exit-before`: the hosting process ends as if killed, before the call has an effect.
    ExitBefore,
    /// `exit-after`: the hosting process ends as if killed, after the effect is durable.
    ExitAfter,
}

impl Fault {
    fn concerns(&self, service: &str, operation: &str) -> bool {
        self.service.as_deref().is_none_or(|named| named == service)
            && (self.operation == "*" || self.operation == operation)
    }

    fn is_due(&self, seen: u32) -> bool {
        seen >= self.nth && seen - self.nth < self.count
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |reason: &str| {
            format!(
                "`{text}` is no fault: {reason}; write for example `CreateListener#2x1=throttle`"
            )
        };
        let (place, effect) = text.split_once('=').ok_or_else(|| wrong("it has no `=`"))?;
        let (effect, repeated) =
            effect_of(effect).ok_or_else(|| wrong(&format!("`{effect}` is no effect")))?;
        let (place, count) = match place.rsplit_once('x').filter(|(_, count)| is_count(count)) {
            Some((place, "*")) => (place, Some(u32::MAX)),
            Some((place, count)) => (place, count.parse().ok()),
            None => (place, repeated),
        };
        let (place, nth) = match place.split_once('#') {
            Some((place, nth)) => (
                place,
                nth.parse()
                    .map_err(|_| wrong("`#` is not followed by a number"))?,
            ),
            None => (place, 1),
        };
        let (service, operation) = match place.split_once(':') {
            Some((service, operation)) => (Some(service.to_owned()), operation),
            None => (None, place),
        };
        if nth == 0 || count == Some(0) {
            return Err(wrong("calls are counted from 1"));
        }
        let is_name = operation == "*"
            || (!operation.is_empty()
                && operation.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if !is_name {
            return Err(wrong(&format!("`{operation}` is no operation")));
        }
        Ok(Self {
            service,
            operation: operation.to_owned(),
            nth,
            count: count.unwrap_or(1),
            effect,
        })
    }
}

fn is_count(text: &str) -> bool {
    text == "*" || (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Reads an effect, and how often it asks to be repeated.
fn effect_of(text: &str) -> Option<(Effect, Option<u32>)> {
    let (name, detail) = text
        .split_once(':')
        .map_or((text, None), |(name, detail)| (name, Some(detail)));
    let effect = match (name, detail) {
        ("throttle", None) => Effect::Throttle,
        ("deny", None) => Effect::Deny,
        ("500", None) => Effect::FailBefore,
        ("fail-after", None) => Effect::FailAfter,
        ("lose-reply", None) => Effect::LoseReply,
        ("exit-before", None) => Effect::ExitBefore,
        ("exit-after", None) => Effect::ExitAfter,
        ("stale", None) => Effect::Stale,
        ("stale-reads", None) => Effect::StaleReads(1),
        ("stale-reads", Some(reads)) => Effect::StaleReads(reads.parse().ok()?),
        ("stale", Some(reads)) => return Some((Effect::Stale, Some(reads.parse().ok()?))),
        ("fail", Some(detail)) => {
            let (code, status) = detail.split_once(':').unwrap_or((detail, "400"));
            let status = status
                .parse()
                .ok()
                .filter(|status| (400..600).contains(status))?;
            Effect::Fail(
                Some(code).filter(|code| !code.is_empty())?.to_owned(),
                status,
            )
        }
        _ => return None,
    };
    Some((effect, None))
}

/// Reads faults divided by commas or white space.
pub(super) fn parse_list(text: &str) -> Result<Vec<Fault>, String> {
    let parts = text.split(|character: char| character == ',' || character.is_whitespace());
    parts
        .filter(|part| !part.is_empty())
        .map(str::parse)
        .collect()
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(service) = &self.service {
            write!(formatter, "{service}:")?;
        }
        write!(formatter, "{}#{}x", self.operation, self.nth)?;
        match self.count {
            u32::MAX => formatter.write_str("*=")?,
            count => write!(formatter, "{count}=")?,
        }
        match &self.effect {
            Effect::Throttle => formatter.write_str("throttle"),
            Effect::Deny => formatter.write_str("deny"),
            Effect::Fail(code, status) => write!(formatter, "fail:{code}:{status}"),
            Effect::FailBefore => formatter.write_str("500"),
            Effect::FailAfter => formatter.write_str("fail-after"),
            Effect::LoseReply => formatter.write_str("lose-reply"),
            Effect::Stale => formatter.write_str("stale"),
            Effect::StaleReads(reads) => write!(formatter, "stale-reads:{reads}"),
            Effect::ExitBefore => formatter.write_str("exit-before"),
            Effect::ExitAfter => formatter.write_str("exit-after"),
        }
    }
}

/// The faults in force, with how many calls each has seen.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Fault, u32)>);

impl Faults {
    /// Puts more faults in force.
    pub(super) fn add(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.0.extend(faults.into_iter().map(|fault| (fault, 0)));
    }

    /// Takes all faults out of force.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts a call, and says what is to happen to it: the first fault that is due wins.
    pub(super) fn strike(&mut self, service: &str, operation: &str) -> Option<Effect> {
        let mut effect = None;
        for (fault, seen) in self
            .0
            .iter_mut()
            .filter(|(fault, _)| fault.concerns(service, operation))
        {
            *seen = seen.saturating_add(1);
            if effect.is_none() && fault.is_due(*seen) {
                effect = Some(fault.effect.clone());
            }
        }
        effect
    }
}

#[cfg(test)]
mod tests {
    use super::{Effect, Fault, Faults, parse_list};

    #[test]
    fn faults_are_written_as_they_are_read() {
        for (text, full) in [
            ("CreateListener#2x1=throttle", "CreateListener#2x1=throttle"),
            ("*=exit-after", "*#1x1=exit-after"),
            (
                "s3:PutObjectx3=fail:SlowDown:503",
                "s3:PutObject#1x3=fail:SlowDown:503",
            ),
            ("elbv2:*x*=500", "elbv2:*#1x*=500"),
            (
                "DescribeTrustStores#2=stale:4",
                "DescribeTrustStores#2x4=stale",
            ),
            (
                "elbv2:CreateTrustStore=stale-reads:3",
                "elbv2:CreateTrustStore#1x1=stale-reads:3",
            ),
            ("UpdateRestApi=fail:Oops", "UpdateRestApi#1x1=fail:Oops:400"),
        ] {
            assert_eq!(text.parse::<Fault>().expect("is a fault").to_string(), full);
        }
    }

    #[test]
    fn what_is_no_fault_is_refused_with_the_reason() {
        for (text, reason) in [
            ("CreateListener", "has no `=`"),
            ("CreateListener=explode", "`explode` is no effect"),
            ("CreateListener#0=500", "counted from 1"),
            ("CreateListener#two=500", "not followed by a number"),
            ("Create-Listener=500", "no operation"),
            ("=500", "no operation"),
            ("A=fail:", "no effect"),
            ("A=fail:X:200", "no effect"),
        ] {
            let error = text.parse::<Fault>().expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn an_operation_that_ends_in_x_keeps_its_name() {
        assert_eq!(
            "Indexx2=500"
                .parse::<Fault>()
                .expect("is a fault")
                .to_string(),
            "Index#1x2=500"
        );
        assert_eq!(
            "Index=500"
                .parse::<Fault>()
                .expect("is a fault")
                .to_string(),
            "Index#1x1=500"
        );
    }

    #[test]
    fn the_nth_call_is_struck_as_often_as_asked() {
        let mut faults = Faults::default();
        faults.add(parse_list("elbv2:CreateListener#2x2=500, *#6=deny").expect("are faults"));
        let mut strike = |service| faults.strike(service, "CreateListener");
        assert_eq!(strike("elbv2"), None);
        assert_eq!(strike("ec2"), None);
        assert_eq!(strike("elbv2"), Some(Effect::FailBefore));
        assert_eq!(strike("elbv2"), Some(Effect::FailBefore));
        assert_eq!(strike("elbv2"), None);
        assert_eq!(strike("s3"), Some(Effect::Deny));
    }
}
