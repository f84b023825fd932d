//! What API Gateway's execution logs say of integrations that fail.
//!
//! On AWS they go to `CloudWatch`, which the sandbox does not have: here they can be asked for.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::execute_api::Exchange;

/// How many entries are kept.
const KEPT: usize = 1_000;

/// The latest entries.
#[derive(Default)]
pub(super) struct ExecutionLog(Mutex<VecDeque<Value>>);

impl ExecutionLog {
    /// Notes a line on a request.
    pub(super) fn note(&self, exchange: &Exchange, line: &str) {
        let entry = json!({
            "time": exchange.time,
            "logGroup": format!("API-Gateway-Execution-Logs_{}/{}", exchange.api, exchange.stage),
            "message": format!("({}) {line}", exchange.id),
        });
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == KEPT {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// All entries, the oldest first.
    pub(super) fn entries(&self) -> Value {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().cloned().collect()
    }
}
