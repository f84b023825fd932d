//! `render`: the resources that a stack file stands for, as JSON.

use serde_json::{Value, json};

use crate::cli::Paths;
use crate::error::{Error, Result, exit};
use crate::plan::{Plan, Summary};
use crate::resource;
use crate::session;
use crate::view::View;

/// Prints the resources of stack files.
///
/// # Errors
///
/// What is wrong with the files.
pub(super) fn run(args: &Paths, view: &View) -> Result<u8> {
    let mut stacks = Vec::new();
    for subject in session::load(&session::stack_files(&args.paths)?)? {
        let Some(stack) = &subject.stack else {
            continue;
        };
        let wired = session::wire_offline(stack).map_err(Error::from)?;
        let plan = Plan::make(&resource::unread(&wired.resources))?;
        let resources: Vec<Value> = plan.summaries.iter().map(rendered).collect();
        stacks.push(json!({"name": stack.name, "region": stack.region, "resources": resources}));
    }
    view.document(&json!({"format_version": "1", "stacks": stacks}));
    Ok(exit::DONE)
}

fn rendered(summary: &Summary) -> Value {
    let fields: serde_json::Map<String, Value> = summary
        .fields
        .iter()
        .map(|field| {
            let shown = match &field.note {
                _ if field.sensitive => Value::from("(not shown)"),
                Some(note) if field.after_unknown => Value::from(format!("({note})")),
                _ => field.after.clone(),
            };
            (field.path.clone(), shown)
        })
        .collect();
    json!({"address": summary.address, "type": summary.type_name, "properties": fields})
}
