//! STS: who the caller is.

use serde_json::{Value, json};

use super::world::{Call, Refusal, World};

/// Operation and the top-level input members it models; any other member is refused by the wire layer.
pub(super) const OPERATIONS: &[(&str, &[&str])] = &[("GetCallerIdentity", &[])];

/// Answers one call.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    match call.operation {
        "GetCallerIdentity" => Ok(get_caller_identity(&world.account)),
        other => Err(Refusal::not_modelled(other, "the operation")),
    }
}

/// Every credential is the same user's: the sandbox knows no permissions.
fn get_caller_identity(account: &str) -> Value {
    json!({
        "UserId": "AIDASANDBOX000000000",
        "Account": account,
        "Arn": format!("arn:aws:iam::{account}:user/sandbox"),
    })
}
