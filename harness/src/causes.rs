//! Errors as a person reads them.

use std::error::Error;

/// The text with everything made visible that could command a terminal: what other machines say is shown, not obeyed.
pub fn visible(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            c if c.is_control() => shown.extend(c.escape_debug()),
            c => shown.push(c),
        }
    }
    shown
}

/// The error and what caused it, on one line.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        // Some errors say their cause themselves.
        if !text.contains(&reason) {
            text = format!("{text}: {reason}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_commanded() {
        let said = "red: \u{1b}[31m, title: \u{9d}0;x\u{7}\r\nübrig\t'$(x)'";
        let shown = visible(said);
        assert!(
            shown.starts_with("red: \\u{1b}[31m, title: \\u{9d}0;x\\u{7}\\r\n"),
            "{shown}"
        );
        assert!(shown.ends_with("übrig\t'$(x)'"), "{shown}");
    }
}
