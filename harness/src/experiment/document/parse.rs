use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};

use super::build::{Builder, DEEPEST, Fatal, fatal};
use super::{Node, Place, Scalar, Source, Style};
use crate::experiment::diagnostic::Diagnostic;

/// Reads one YAML document. Where a key is given twice the first one stays, so that the rest can be judged too.
///
/// # Errors
/// Everything that is wrong with the text as YAML, and nothing about what its fields mean.
pub(crate) fn parse(source: &Source) -> (Option<Node>, Vec<Diagnostic>) {
    let mut builder = Builder::default();
    match read(&source.text, &mut builder) {
        Ok(()) => builder.into_parts(),
        Err(fatal) => {
            let (_, mut found) = builder.into_parts();
            found.push(*fatal);
            (None, found)
        }
    }
}

fn options() -> Options {
    granit_parser::options! {
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
        emit_comments: false,
    }
}

fn read(text: &str, builder: &mut Builder) -> Result<(), Fatal> {
    for event in Parser::new_from_str_with_options(text, options()) {
        let (event, span) = event.map_err(|error| Box::new(not_yaml(&error, text.len())))?;
        let place = place_of(&span);
        match event {
            Event::DocumentStart(..) if builder.is_done() => {
                return fatal(
                    place,
                    "a second document starts here, expected one per file",
                );
            }
            Event::Scalar(scalar, style, anchor, tag) => {
                refuse_tag(tag.as_deref(), place)?;
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    _ => Style::Quoted,
                };
                let text = scalar.into_owned();
                builder.scalar(place, Scalar { text, style }, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), place)?;
                builder.open_list(place, anchor)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), place)?;
                builder.open_map(place, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => builder.close(place)?,
            Event::Alias(anchor) => builder.alias(place, anchor)?,
            _ => {}
        }
    }
    Ok(())
}

fn place_of(span: &Span) -> Place {
    let bytes = span
        .byte_range()
        .expect("a parser over a string knows its byte offsets");
    Place {
        start: bytes.start,
        end: bytes.end,
    }
}

fn refuse_tag(tag: Option<&Tag>, place: Place) -> Result<(), Fatal> {
    match tag {
        Some(tag) => fatal(
            place,
            format!("the tag `{}` has no meaning here", tag.original()),
        ),
        None => Ok(()),
    }
}

fn not_yaml(error: &ScanError, length: usize) -> Diagnostic {
    let at = error.marker().byte_offset().unwrap_or(length);
    let place = Place { start: at, end: at };
    let kind = error.kind().to_string();
    let why = match kind.split_once("did not find expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => kind,
    };
    let problem = Diagnostic::new(place, format!("this is not YAML: {why}"));
    match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInBlockIndentation => problem.help("indent with spaces"),
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => problem
            .help("check the indentation and the brackets above; quote a text that holds a colon"),
        ErrorKind::ExpectedBlockMappingKey => {
            problem.help("the keys of one map start in the same column")
        }
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let source = Source {
            name: "x.yaml".into(),
            text: text.into(),
        };
        parse(&source)
            .1
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }

    #[test]
    fn places_cover_the_text_of_a_value() {
        let text = "a: {b: 5%}\nc:\n  - x\n  - y z\nd: 1\n";
        let source = Source {
            name: "x.yaml".into(),
            text: text.into(),
        };
        let (root, found) = parse(&source);
        let root = root.unwrap();
        assert!(found.is_empty());
        let cut = |node: &Node| &text[node.place.start..node.place.end];
        assert_eq!(cut(root.get("a").unwrap()), "{b: 5%}");
        assert_eq!(cut(root.get("a").unwrap().get("b").unwrap()), "5%");
        assert_eq!(cut(root.get("c").unwrap()), "- x\n  - y z");
        assert_eq!(cut(&root), text.trim_end());
    }

    #[test]
    fn a_key_given_twice_keeps_the_first() {
        let source = Source {
            name: "x.yaml".into(),
            text: "a: 1\na: {b: [2]}\nc: 3".into(),
        };
        let (root, found) = parse(&source);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].message, "`a` is given twice");
        let root = root.unwrap();
        assert_eq!(root.get("a").unwrap().text(), Some("1"));
        assert_eq!(root.entries().len(), 2);
    }

    #[test]
    fn aliases_are_written_out_within_bounds() {
        let source = Source {
            name: "x.yaml".into(),
            text: "a: &x {b: 1}\nc: *x".into(),
        };
        let root = parse(&source).0.unwrap();
        assert_eq!(root.get("c").unwrap().get("b").unwrap().text(), Some("1"));

        assert_eq!(messages("a: &x [*x]"), ["an anchor cannot contain itself"]);
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let below = format!("*a{}, ", level - 1).repeat(10);
            bomb = format!("{bomb}a{level}: &a{level} [{below}]\n");
        }
        assert!(messages(&bomb)[0].starts_with("more than 20000 values"));
        let mut deep = "a0: &a0 []\n".to_owned();
        for level in 1..100 {
            deep = format!("{deep}a{level}: &a{level} [*a{}]\n", level - 1);
        }
        assert!(messages(&deep)[0].starts_with("more than 64 maps and lists"));
    }

    #[test]
    fn what_is_no_plain_document_is_refused() {
        assert!(messages("a: [1\nb: 2")[0].starts_with("this is not YAML: "));
        assert_eq!(messages("a: !x 1"), ["the tag `!x` has no meaning here"]);
        assert_eq!(messages("[a]: 1"), ["a key must be a single word"]);
        assert!(messages("a: 1\n---\nb: 1")[0].starts_with("a second document"));
        assert!(messages(&"[".repeat(10_000))[0].starts_with("this is not YAML"));
    }
}
