//! Security groups of a network load balancer, which has some from the beginning or never.

use crate::stack::cidr;
use crate::stack::common::SecurityGroups;
use crate::stack::context::Context;
use crate::stack::fault::Fault;
use crate::stack::path::KeyPath;

/// Who may connect to a network load balancer. VPC links are let in whatever rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkSecurityGroups {
    /// It has no group, and passes everything on.
    None,
    /// One of our own, which lets these CIDRs in.
    Own(Vec<String>),
    /// Existing ones, used and never changed.
    Existing(Vec<String>),
}

impl NetworkSecurityGroups {
    /// Reads the keys `allow` and `security_groups`.
    pub(super) fn read(
        (allow, groups): (Option<Vec<String>>, Option<Vec<String>>),
        path: &KeyPath,
        cx: &Context,
    ) -> Self {
        let at = path.key("allow");
        if allow.is_some() && groups.is_some() {
            let fault = Fault::new(&at, "`allow` has no effect beside `security_groups`");
            cx.fault(fault.hint("existing security groups are never changed: keep one of the two"));
        }
        if let Some(cidrs) = &allow {
            cidr::check_list(cidrs, &at, cx);
        }
        match (groups, allow) {
            (None, None) => Self::None,
            (None, Some(cidrs)) => Self::Own(cidrs),
            (Some(ids), _) => Self::existing(ids, &path.key("security_groups"), cx),
        }
    }

    fn existing(ids: Vec<String>, path: &KeyPath, cx: &Context) -> Self {
        if ids.is_empty() {
            let fault = Fault::new(path, format!("`{path}` lists no security group"));
            cx.fault(fault.hint(
                "remove the key to have none, or write `allow: [10.0.0.0/8]` for one of its own",
            ));
            return Self::None;
        }
        match SecurityGroups::from_list(Some(ids), path, cx) {
            SecurityGroups::Existing(ids) => Self::Existing(ids),
            SecurityGroups::Own => Self::None,
        }
    }
}
