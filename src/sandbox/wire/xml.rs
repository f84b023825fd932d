//! XML elements, read from requests and written to answers.

use std::fmt::Write;

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::{BytesStart, Event};

/// An element with its content.
#[derive(Debug, Default, Clone)]
pub(super) struct Element {
    /// Without a prefix.
    pub(super) name: String,
    /// Attributes, with their prefixes.
    pub(super) attributes: Vec<(String, String)>,
    /// The elements inside.
    pub(super) children: Vec<Self>,
    /// The text inside.
    pub(super) text: String,
}

impl Element {
    /// An element that holds others.
    pub(super) fn with_children(name: &str, children: Vec<Self>) -> Self {
        Self {
            name: name.to_owned(),
            children,
            ..Self::default()
        }
    }

    /// An element that holds text.
    pub(super) fn with_text(name: &str, text: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            text: text.into(),
            ..Self::default()
        }
    }

    /// The same element with one more attribute, unless its value is empty.
    pub(super) fn with_attribute(mut self, name: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.attributes.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The document that has this element as its root.
    pub(super) fn document(&self) -> Vec<u8> {
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.write(&mut text);
        text.into_bytes()
    }

    fn write(&self, text: &mut String) {
        const REASON: &str = "writing to a String cannot fail";
        write!(text, "<{}", self.name).expect(REASON);
        for (name, value) in &self.attributes {
            write!(text, " {name}=\"{}\"", escape(value)).expect(REASON);
        }
        if self.children.is_empty() && self.text.is_empty() {
            text.push_str("/>");
            return;
        }
        text.push('>');
        text.push_str(&escape(&self.text));
        for child in &self.children {
            child.write(text);
        }
        write!(text, "</{}>", self.name).expect(REASON);
    }

    /// Reads a document; the error says what is wrong with it.
    pub(super) fn parse(document: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(document).map_err(|error| error.to_string())?;
        let mut reader = Reader::from_str(text);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(start) => open.push(started(&start)?),
                Event::Empty(start) => {
                    let element = started(&start)?;
                    last(&mut open).children.push(element);
                }
                Event::End(_) => {
                    let element = open.pop().ok_or("an element ends that did not begin")?;
                    last(&mut open).children.push(element);
                }
                Event::Text(content) => last(&mut open).text.push_str(&content),
                Event::CData(content) => last(&mut open).text.push_str(&content),
                Event::GeneralRef(name) => last(&mut open).text.push_str(&referred(&name)?),
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        let document = open
            .pop()
            .filter(|_| open.is_empty())
            .ok_or("an element is not closed")?;
        document
            .children
            .into_iter()
            .next()
            .ok_or_else(|| "there is no element".to_owned())
    }
}

/// The innermost open element; the document itself is always open.
fn last(open: &mut [Element]) -> &mut Element {
    open.last_mut()
        .expect("quick-xml reports an end without a beginning as an error")
}

fn started(start: &BytesStart<'_>) -> Result<Element, String> {
    let name = start.local_name().as_ref().to_owned();
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value =
            quick_xml::escape::unescape(&attribute.value).map_err(|error| error.to_string())?;
        attributes.push((attribute.key.as_ref().to_owned(), value.into_owned()));
    }
    Ok(Element {
        name,
        attributes,
        ..Element::default()
    })
}

/// What `&name;` stands for.
fn referred(name: &str) -> Result<String, String> {
    let text = format!("&{name};");
    quick_xml::escape::unescape(&text)
        .map(std::borrow::Cow::into_owned)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::Element;

    #[test]
    fn what_is_written_is_read_again() {
        let inner = Element::with_text("B", "x < y & \"z\"").with_attribute("xsi:type", "T");
        let element = Element::with_children("A", vec![inner]);
        let read = Element::parse(&element.document()).expect("well formed");
        assert_eq!(read.children[0].text, "x < y & \"z\"");
        assert_eq!(
            read.children[0].attributes,
            [("xsi:type".to_owned(), "T".to_owned())]
        );
    }

    #[test]
    fn broken_documents_are_refused() {
        for text in ["", "<A>", "<A></B>", "x"] {
            assert!(Element::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
