//! Matches a text against a pattern of AWS's models.
//!
//! The models use look-ahead and Unicode categories, which no one small regular-expression crate
//! has together; and what they use besides is little.

/// Whether the whole text matches a pattern, which has to be well-formed.
pub(in crate::sandbox) fn matches(pattern: &str, text: &str) -> bool {
    let source: Vec<char> = pattern.chars().collect();
    let (choices, _) = alternatives(&source, 0);
    let text: Vec<char> = text.chars().collect();
    any(&choices, &text, 0, &mut |end| end == text.len())
}

/// A part of a pattern.
#[derive(Debug)]
enum Node {
    /// One character out of a set.
    One(Set),
    /// One of several sequences.
    Group(Vec<Vec<Self>>),
    /// A place where none of several sequences follows.
    Unless(Vec<Vec<Self>>),
    /// The text's beginning.
    Start,
    /// The text's end.
    End,
    /// A node so many times, as often as possible.
    Repeat(Box<Self>, usize, usize),
}

/// A set of characters.
#[derive(Debug, Default)]
struct Set {
    negated: bool,
    ranges: Vec<(u32, u32)>,
    categories: Vec<fn(char) -> bool>,
}

impl Set {
    fn holds(&self, character: char) -> bool {
        let code = u32::from(character);
        let listed = self
            .ranges
            .iter()
            .any(|&(low, high)| (low..=high).contains(&code));
        (listed || self.categories.iter().any(|category| category(character))) != self.negated
    }
}

/// Matches any of the sequences from `at`, then whatever `rest` wants.
fn any(
    choices: &[Vec<Node>],
    text: &[char],
    at: usize,
    rest: &mut dyn FnMut(usize) -> bool,
) -> bool {
    choices.iter().any(|nodes| sequence(nodes, text, at, rest))
}

/// Matches the nodes one after the other from `at`, then whatever `rest` wants.
fn sequence(nodes: &[Node], text: &[char], at: usize, rest: &mut dyn FnMut(usize) -> bool) -> bool {
    let Some((first, others)) = nodes.split_first() else {
        return rest(at);
    };
    match first {
        Node::One(set) => {
            text.get(at).is_some_and(|&found| set.holds(found))
                && sequence(others, text, at + 1, rest)
        }
        Node::Group(choices) => any(choices, text, at, &mut |end| {
            sequence(others, text, end, rest)
        }),
        Node::Unless(choices) => {
            !any(choices, text, at, &mut |_| true) && sequence(others, text, at, rest)
        }
        Node::Start => at == 0 && sequence(others, text, at, rest),
        Node::End => at == text.len() && sequence(others, text, at, rest),
        Node::Repeat(node, least, most) => repeat((node, *least, *most), text, at, &mut |end| {
            sequence(others, text, end, rest)
        }),
    }
}

/// Matches a repeated node, longest first.
fn repeat(
    (node, least, most): (&Node, usize, usize),
    text: &[char],
    at: usize,
    rest: &mut dyn FnMut(usize) -> bool,
) -> bool {
    // Sets are by far the most frequent, and long: a loop spares the stack.
    if let Node::One(set) = node {
        let run = text[at..]
            .iter()
            .take(most)
            .take_while(|&&found| set.holds(found))
            .count();
        return (least..=run).rev().any(|count| rest(at + count));
    }
    let again = |end: usize, rest: &mut dyn FnMut(usize) -> bool| {
        end > at && repeat((node, least.saturating_sub(1), most - 1), text, end, rest)
    };
    let once = std::slice::from_ref(node);
    (most > 0 && sequence(once, text, at, &mut |end| again(end, rest))) || (least == 0 && rest(at))
}

/// Reads sequences divided by `|` up to a closing parenthesis or the end.
fn alternatives(source: &[char], mut at: usize) -> (Vec<Vec<Node>>, usize) {
    let mut choices = vec![Vec::new()];
    while let Some(&character) = source.get(at) {
        match character {
            ')' => break,
            '|' => {
                choices.push(Vec::new());
                at += 1;
            }
            _ => {
                let (node, end) = node(source, at);
                let (node, end) = quantified(node, source, end);
                choices.last_mut().expect("starts with one").push(node);
                at = end;
            }
        }
    }
    (choices, at)
}

/// Reads one node without its quantifier.
fn node(source: &[char], at: usize) -> (Node, usize) {
    match source[at] {
        '(' => {
            let negative = source[at + 1..].starts_with(&['?', '!']);
            let marked = source[at + 1] == '?';
            let (choices, end) = alternatives(source, if marked { at + 3 } else { at + 1 });
            (
                if negative {
                    Node::Unless(choices)
                } else {
                    Node::Group(choices)
                },
                end + 1,
            )
        }
        '[' => class(source, at + 1),
        '^' => (Node::Start, at + 1),
        '$' => (Node::End, at + 1),
        '.' => {
            let newline = vec![(10, 10), (13, 13)];
            (
                Node::One(Set {
                    negated: true,
                    ranges: newline,
                    ..Set::default()
                }),
                at + 1,
            )
        }
        _ => {
            let mut set = Set::default();
            let end = item(source, at, &mut set);
            (Node::One(set), end)
        }
    }
}

/// Reads `[…]` from behind its opening bracket.
fn class(source: &[char], mut at: usize) -> (Node, usize) {
    let mut set = Set {
        negated: source[at] == '^',
        ..Set::default()
    };
    at += usize::from(set.negated);
    while source[at] != ']' {
        at = item(source, at, &mut set);
        let is_range = source[at] == '-' && source[at + 1] != ']';
        if let (true, Some((low, _))) = (is_range, set.ranges.pop_if(|_| is_range)) {
            at = item(source, at + 1, &mut set);
            if let Some(last) = set.ranges.last_mut() {
                last.0 = low;
            }
        }
    }
    (Node::One(set), at + 1)
}

/// Adds one character, escape or category to a set.
fn item(source: &[char], at: usize, set: &mut Set) -> usize {
    let mut literal = |character: u32| set.ranges.push((character, character));
    if source[at] != '\\' {
        literal(u32::from(source[at]));
        return at + 1;
    }
    match source[at + 1] {
        'd' => set.ranges.push((48, 57)),
        'w' => set
            .categories
            .push(|found| found.is_ascii_alphanumeric() || found == '_'),
        's' => set.categories.push(char::is_whitespace),
        'S' => set.categories.push(|found| !found.is_whitespace()),
        'u' => {
            let digits: String = source[at + 2..at + 6].iter().collect();
            literal(u32::from_str_radix(&digits, 16).unwrap_or_default());
            return at + 6;
        }
        'p' => {
            let name: String = source[at + 3..]
                .iter()
                .take_while(|&&found| found != '}')
                .collect();
            set.categories.push(category(&name));
            return at + 4 + name.len();
        }
        escaped => literal(u32::from(escaped)),
    }
    at + 2
}

/// The Unicode categories that the models name.
fn category(name: &str) -> fn(char) -> bool {
    match name {
        "L" => char::is_alphabetic,
        "N" => char::is_numeric,
        "Z" => |found| found.is_whitespace() && !found.is_control(),
        _ => |found| found.is_ascii(),
    }
}

/// Reads the quantifier behind a node, if there is one.
fn quantified(node: Node, source: &[char], at: usize) -> (Node, usize) {
    let (least, most, end) = match source.get(at) {
        Some('*') => (0, usize::MAX, at + 1),
        Some('+') => (1, usize::MAX, at + 1),
        Some('?') => (0, 1, at + 1),
        Some('{') => {
            let bounds: String = source[at + 1..]
                .iter()
                .take_while(|&&found| found != '}')
                .collect();
            let end = at + 2 + bounds.len();
            let number = |text: &str| text.parse().unwrap_or(usize::MAX);
            match bounds.split_once(',') {
                Some((least, most)) => (number(least), number(most), end),
                None => (number(&bounds), number(&bounds), end),
            }
        }
        _ => return (node, at),
    };
    (Node::Repeat(Box::new(node), least, most), end)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_trust_store_name_has_single_hyphens_inside_only() {
        let pattern = "^([a-zA-Z0-9]+-)*[a-zA-Z0-9]+$";
        assert!(matches(pattern, "petstore-1-a"));
        for wrong in ["", "-a", "a-", "a--b", "a_b"] {
            assert!(!matches(pattern, wrong), "{wrong}");
        }
    }

    #[test]
    fn a_domain_name_has_labels_that_do_not_begin_with_a_hyphen() {
        let pattern =
            r"(\*\.)?(((?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9])\.)+((?!-)[A-Za-z0-9-]{1,62}[A-Za-z0-9])";
        assert!(matches(pattern, "*.example.com"));
        assert!(matches(pattern, "a-b.example.com"));
        for wrong in [
            "example",
            "-a.example.com",
            "a.*.com",
            "example.com.",
            "a.b",
        ] {
            assert!(!matches(pattern, wrong), "{wrong}");
        }
    }

    #[test]
    fn tags_take_letters_of_any_script() {
        let pattern = r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$";
        assert!(matches(pattern, "mtlsgw:address ラベル 1-2"));
        assert!(!matches(pattern, "{a}"));
    }

    #[test]
    fn bounds_and_escapes_are_read() {
        assert!(matches(r"[1-5]\d\d", "403"));
        assert!(!matches(r"[1-5]\d\d", "4033"));
        assert!(matches(
            "[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}",
            "b25f48e8-84fd-11e6-80d9-574e0c4664cb"
        ));
        assert!(matches(r"^(HTTPS?|#\{protocol\})$", "#{protocol}"));
        assert!(matches(r"[\u0009\u000A\u000D\u0020-\u00FF]*", "a b\n"));
        assert!(matches(r"[\s\S]*", "{\n}"));
    }
}
