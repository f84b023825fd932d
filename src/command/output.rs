//! `output`: names, ARNs, DNS names and addresses of a stack, read from AWS.

use serde_json::{Map, Value, json};

use crate::cli::{Global, OutputArgs};
use crate::error::{Error, Result, exit};
use crate::resource::Node;
use crate::session::{Session, Subject};
use crate::view::View;

/// Prints what a stack has in AWS.
///
/// # Errors
///
/// What could not be read, or an output that does not exist.
pub(super) async fn run(args: &OutputArgs, global: &Global, view: &View) -> Result<u8> {
    let path = super::stack_file(args.path.as_ref(), "output")?;
    let subject = Subject::of_identity(&path)?;
    let session = Session::open(global).await?;
    let nodes = session.read(subject).await;
    session.close().await;
    let nodes = nodes?;
    let outputs = outputs(&nodes);
    match &args.name {
        Some(name) => {
            let value = outputs.get(name).ok_or_else(|| unknown(name, &outputs))?;
            view.result(&format!("{}\n", text(value)));
        }
        None if view.is_json() => {
            view.document(&json!({"format_version": "1", "outputs": outputs}));
        }
        None => {
            let lines = outputs
                .iter()
                .map(|(name, value)| format!("{name} = {}\n", text(value)));
            view.result(&lines.collect::<String>());
        }
    }
    Ok(exit::DONE)
}

/// `load_balancer.dns_name` and so on; the id stands under the address itself.
fn outputs(nodes: &[Box<dyn Node>]) -> Map<String, Value> {
    let mut outputs = Map::new();
    for node in nodes {
        let Some(live) = node.live().into_iter().next() else {
            continue;
        };
        for (name, values) in &live.outputs {
            let key = if *name == "id" {
                node.address().to_string()
            } else {
                format!("{}.{name}", node.address())
            };
            let value = match values.as_slice() {
                [one] => Value::from(one.as_str()),
                several => Value::from(several.to_vec()),
            };
            outputs.insert(key, value);
        }
    }
    outputs
}

fn text(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(" "),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn unknown(name: &str, outputs: &Map<String, Value>) -> Error {
    let names: Vec<&str> = outputs.keys().map(String::as_str).collect();
    Error::refused_with(
        format!("the stack has no output `{name}`"),
        format!("it has {}", names.join(", ")),
    )
}
