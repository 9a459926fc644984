use std::collections::HashSet;
use std::fmt::{self, Write as _};

use super::diagnostic::Diagnostic;
use super::document::Source;

/// Wider lines are shown in part.
const WIDEST: usize = 100;

/// A file with more errors than this is shown the first ones.
pub(super) const MOST_ERRORS: usize = 50;

/// All that is wrong with a file, as a person sees it.
#[derive(Debug, Clone)]
pub struct Report {
    source: Source,
    problems: Vec<Diagnostic>,
}

/// Whether to use a terminal's colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// For terminals.
    Terminal,
    /// For files, pipes and tests.
    Plain,
}

impl Report {
    /// Of these problems each once, the first of the file first.
    pub(super) fn of_all(source: Source, mut problems: Vec<Diagnostic>) -> Report {
        let mut seen = HashSet::new();
        problems.retain(|problem| seen.insert((problem.place, problem.message.clone())));
        problems.sort_by_key(|problem| problem.place.start);
        problems.truncate(MOST_ERRORS);
        Report { source, problems }
    }

    /// What is wrong, in the order of the file; never empty.
    pub fn problems(&self) -> &[Diagnostic] {
        &self.problems
    }

    /// The lines of the file with what is wrong underlined.
    pub fn render(&self, color: Color) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            self.render_one(problem, &Paint(color), &mut text);
            text.push('\n');
        }
        let count = match self.problems.len() {
            1 => "1 problem".to_owned(),
            count => format!("{count} problems"),
        };
        let _ = writeln!(text, "{count} in {}", self.source.name);
        text
    }

    fn render_one(&self, problem: &Diagnostic, paint: &Paint, text: &mut String) {
        let (line, column) = self.source.line_and_column(problem.place.start);
        let (code, line_start) = self.source.line_at(problem.place.start);
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let start = problem
            .place
            .start
            .saturating_sub(line_start)
            .min(code.len());
        let end = problem
            .place
            .end
            .saturating_sub(line_start)
            .clamp(start, code.len());
        let window = Window::around(code, start, end);
        let bar = paint.frame("|");

        let head = paint.error("error");
        let message = paint.strong(&visible(&problem.message));
        let _ = writeln!(
            text,
            "{}:{line}:{column}: {head}: {message}",
            self.source.name
        );
        if !code.trim().is_empty() {
            let under = "^".repeat(window.width.max(1));
            let label = problem
                .label
                .as_deref()
                .map(|label| format!(" {}", visible(label)));
            let under = paint.error(&(under + &label.unwrap_or_default()));
            let _ = writeln!(text, "{margin} {bar}");
            let _ = writeln!(text, "{} {bar} {}", paint.frame(&number), window.code);
            let _ = writeln!(text, "{margin} {bar} {}{under}", " ".repeat(window.indent));
        }
        if let Some(help) = &problem.help {
            let _ = writeln!(
                text,
                "{margin} {} {} {}",
                paint.frame("="),
                paint.strong("help:"),
                visible(help)
            );
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(Color::Plain).trim_end())
    }
}

impl std::error::Error for Report {}

/// The part of a line that is shown.
struct Window {
    code: String,
    indent: usize,
    width: usize,
}

impl Window {
    fn around(code: &str, start: usize, end: usize) -> Window {
        let before = visible(&code[..start]);
        let marked = visible(&code[start..end]);
        let after = visible(&code[end..]);
        let marked_width = marked.chars().count();
        let whole = code.chars().count() <= WIDEST;
        let cut = if whole {
            0
        } else {
            before.chars().count().saturating_sub(WIDEST / 2)
        };
        let ellipsis = if cut > 0 { "…" } else { "" };
        let shown: String = before.chars().skip(cut).collect();
        let indent = shown.chars().count() + ellipsis.chars().count();
        let mut code: String = [ellipsis, &shown, &marked, &after].concat();
        let long = code.char_indices().nth(WIDEST).map(|(offset, _)| offset);
        if let Some(offset) = long {
            code.truncate(offset);
            code.push('…');
        }
        Window {
            code,
            indent,
            width: marked_width.min(WIDEST.saturating_sub(indent)),
        }
    }
}

/// Text from a file as it may go to a terminal: one column for each character, nothing that steers the terminal.
fn visible(text: &str) -> String {
    let safe = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(safe).collect()
}

struct Paint(Color);

impl Paint {
    fn error(&self, text: &str) -> String {
        self.with("1;31", text)
    }

    fn strong(&self, text: &str) -> String {
        self.with("1", text)
    }

    fn frame(&self, text: &str) -> String {
        self.with("34", text)
    }

    fn with(&self, code: &str, text: &str) -> String {
        match self.0 {
            Color::Terminal => format!("\x1b[{code}m{text}\x1b[0m"),
            Color::Plain => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::document::Place;

    fn report(text: &str, marked: &str) -> String {
        let start = text.find(marked).unwrap();
        let place = Place {
            start,
            end: start + marked.len(),
        };
        let source = Source {
            name: "x.yaml".into(),
            text: text.into(),
        };
        let problem = Diagnostic::new(place, "wrong")
            .label("expected right")
            .help("do right");
        Report::of_all(source, vec![problem]).to_string()
    }

    #[test]
    fn the_offending_text_is_underlined() {
        let expected = "\
x.yaml:2:4: error: wrong
  |
2 | ü: 5x # why
  |    ^^ expected right
  = help: do right

1 problem in x.yaml";
        assert_eq!(report("a: 1\nü: 5x # why\n", "5x"), expected);
    }

    #[test]
    fn long_lines_are_cut_and_control_characters_shown() {
        let text = format!("a: [{}X{}]", "1, ".repeat(200), "\x1b[31m, 2".repeat(100));
        let shown = report(&text, "X");
        let code = shown.lines().nth(2).unwrap();
        let under = shown.lines().nth(3).unwrap();
        assert!(code.chars().count() < 110 && code.contains('…') && !shown.contains('\x1b'));
        let column = under.chars().position(|c| c == '^').unwrap();
        assert_eq!(code.chars().nth(column), Some('X'));
    }
}
