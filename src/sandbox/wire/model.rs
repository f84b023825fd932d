//! The API facts of one service, as `extract_api.py` writes them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One service's protocol, operations and shapes.
#[derive(Debug, Deserialize)]
pub(in crate::sandbox) struct Model {
    /// How requests and answers are written.
    pub(super) protocol: Protocol,
    /// The API version that a query names.
    pub(super) version: String,
    /// The XML namespace of answers.
    pub(super) namespace: String,
    /// What stands before the operation in `X-Amz-Target`.
    pub(super) target: String,
    /// The HTTP status of declared errors, by code on the wire.
    pub(super) errors: BTreeMap<String, u16>,
    /// By name.
    pub(super) operations: BTreeMap<String, Operation>,
    /// By name.
    shapes: BTreeMap<String, Shape>,
}

/// AWS's wire protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Protocol {
    /// A form in, XML out.
    Query,
    /// EC2's dialect of it.
    Ec2,
    /// JSON at one URL, the operation in a header.
    Json,
    /// JSON at a URL for each resource.
    RestJson,
    /// XML at a URL for each resource.
    RestXml,
}

/// How one operation is called.
#[derive(Debug, Deserialize)]
pub(super) struct Operation {
    /// The HTTP method.
    pub(super) method: String,
    /// The path with `{labels}`, and the query parameters that tell it from others.
    pub(super) uri: String,
    /// The HTTP status of success.
    pub(super) code: u16,
    /// The input structure's name.
    pub(super) input: Option<String>,
    /// The output structure's name.
    pub(super) output: Option<String>,
    /// The element around a query answer's members.
    pub(super) wrapper: Option<String>,
    /// The root element of a REST-XML answer, where it is not the output structure's name.
    pub(super) root: Option<String>,
}

/// A type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shape {
    /// What kind of type.
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    /// A structure's members.
    pub(super) members: BTreeMap<String, Member>,
    /// A list's elements.
    pub(super) member: Member,
    /// A map's keys.
    pub(super) key: Member,
    /// A map's values.
    pub(super) value: Member,
    /// The member of a structure that is the body by itself.
    pub(super) payload: Option<String>,
    /// Whether a list's elements stand without an element around them.
    pub(super) flattened: bool,
    /// How a timestamp is written where it is not the protocol's way.
    pub(super) format: Option<String>,
    /// The members that a request must have.
    pub(super) required: Vec<String>,
    /// The values that a request may have.
    #[serde(rename = "enum")]
    pub(super) values: Vec<String>,
    /// The least length or value in a request.
    pub(super) min: Option<f64>,
    /// The greatest length or value in a request.
    pub(super) max: Option<f64>,
    /// What a text in a request matches as a whole.
    pub(super) pattern: Option<String>,
}

/// The kinds of types.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Members by name.
    #[default]
    Structure,
    /// Elements of one type.
    List,
    /// Values of one type by key.
    Map,
    /// Text.
    String,
    /// A one-letter text.
    Character,
    /// A whole number.
    Integer,
    /// A whole number.
    Long,
    /// A fraction.
    Float,
    /// A fraction.
    Double,
    /// True or false.
    Boolean,
    /// An instant.
    Timestamp,
    /// Bytes.
    Blob,
}

/// A reference to a type from a structure, list or map.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Member {
    /// The type's name.
    pub(super) shape: String,
    /// Where a REST protocol puts it; the body by default.
    pub(super) location: Location,
    /// Its name on the wire, where it is not the member's own.
    pub(super) wire: Option<String>,
    /// Its name in an EC2 request.
    pub(super) query: Option<String>,
    /// Whether its bytes come as the bare body.
    pub(super) streaming: bool,
    /// Whether it is an attribute of its structure's element.
    pub(super) attribute: bool,
    /// Whether a list's elements stand without an element around them.
    pub(super) flattened: bool,
    /// The `xsi` namespace its element declares.
    pub(super) namespace: Option<String>,
}

/// The places where a REST protocol puts a member.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Location {
    /// In the body's document.
    #[default]
    Body,
    /// A segment of the path.
    Uri,
    /// A query parameter; for a map, all that no other member takes.
    #[serde(rename = "querystring")]
    Query,
    /// A header.
    Header,
    /// All headers that begin with the wire name.
    Headers,
    /// The HTTP status.
    StatusCode,
}

impl Model {
    /// The named type, which the extraction script guarantees to be there.
    pub(super) fn shape(&self, name: &str) -> &Shape {
        self.shapes
            .get(name)
            .expect("the extraction writes every shape that it refers to")
    }

    /// The type a member refers to.
    pub(super) fn shape_of(&self, member: &Member) -> &Shape {
        self.shape(&member.shape)
    }

    /// An operation's input structure, if it has one.
    pub(super) fn input(&self, operation: &Operation) -> Option<&Shape> {
        operation.input.as_deref().map(|name| self.shape(name))
    }

    /// An operation's output structure, if it has one.
    pub(super) fn output(&self, operation: &Operation) -> Option<&Shape> {
        operation.output.as_deref().map(|name| self.shape(name))
    }

    /// Whether a list's elements stand without an element around them.
    pub(super) fn is_flattened(&self, member: &Member) -> bool {
        member.flattened || self.shape_of(member).flattened
    }

    /// The input member that is the bare body: `PutObject`'s `Body`, `PutRestApi`'s `body`.
    pub(super) fn bare_body<'a>(&self, input: &'a Shape) -> Option<&'a str> {
        let name = input.payload.as_deref()?;
        let member = input.members.get(name)?;
        let bare = member.streaming || self.shape_of(member).kind == Kind::Blob;
        bare.then_some(name)
    }
}

impl Member {
    /// The name on the wire.
    pub(super) fn wire_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.wire.as_deref().unwrap_or(name)
    }
}
