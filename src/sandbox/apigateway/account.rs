//! The account's settings, of which logging needs one: the role that writes the logs.

use serde_json::{Value, json};

use super::patch::Patch;
use super::{bad_request, state};
use crate::sandbox::world::{Call, Refusal, World};

/// Answers the calls about the account.
pub(super) fn handle(world: &mut World, call: &Call<'_>) -> Option<Result<Value, Refusal>> {
    Some(match call.operation {
        "GetAccount" => Ok(view(world, call)),
        "UpdateAccount" => update(world, call),
        _ => return None,
    })
}

/// The settings as AWS answers them.
fn view(world: &mut World, call: &Call<'_>) -> Value {
    json!({
        "cloudwatchRoleArn": state(world, call).cloudwatch_role,
        "throttleSettings": { "burstLimit": 5000, "rateLimit": 10000.0 },
        "features": ["UsagePlans"],
        "apiKeyVersion": "4",
    })
}

/// `UpdateAccount`.
fn update(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let mut role = state(world, call).cloudwatch_role.clone();
    for patch in Patch::read_all(call)? {
        match patch.segments()[..] {
            ["cloudwatchRoleArn"] => role = patch.optional_text(),
            _ => return Err(patch.unsupported(&["/cloudwatchRoleArn"])),
        }
    }
    if role.as_ref().is_some_and(|role| !role.contains(":role/")) {
        return Err(bad_request(
            "The role ARN does not have required permissions configured.",
        ));
    }
    state(world, call).cloudwatch_role = role;
    Ok(view(world, call))
}
