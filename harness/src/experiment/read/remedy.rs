use crate::experiment::document::{Node, Scalar, Style, Value};

/// Units to try on a bare number, the likeliest of each kind first.
const UNITS: [&str; 12] = [
    "%", "x", "s", "ms", "m", "B", "KB", "MB", "/s", "KB/s", "MB/s", "cpu",
];

/// Words that people write for a unit.
const WORDS: [(&str, &str); 16] = [
    ("percent", "%"),
    ("pct", "%"),
    ("seconds", "s"),
    ("second", "s"),
    ("secs", "s"),
    ("sec", "s"),
    ("minutes", "m"),
    ("minute", "m"),
    ("min", "m"),
    ("msec", "ms"),
    ("times", "x"),
    ("bytes", "B"),
    ("ops/s", "/s"),
    ("req/s", "/s"),
    ("rps", "/s"),
    ("mb", "MB"),
];

/// What could be written instead of the scalar at `path`: only spellings that `heals` has tried.
pub(super) fn remedy(root: &Node, path: &[usize], heals: impl Fn(&Node) -> bool) -> Option<String> {
    let Value::Scalar(scalar) = &root.descendant(path)?.value else {
        return None;
    };
    let works = |candidate: &Scalar| {
        let mut patched = root.clone();
        match patched.descendant_mut(path) {
            Some(node) => node.value = Value::Scalar(candidate.clone()),
            None => return false,
        }
        heals(&patched)
    };
    if scalar.style == Style::Quoted && works(&plain(&scalar.text)) {
        return Some(format!("leave out the quotes: `{}`", scalar.text));
    }
    let working: Vec<String> = candidates(scalar.text.trim())
        .into_iter()
        .filter(|candidate| works(&plain(candidate)))
        .take(3)
        .map(|candidate| format!("`{candidate}`"))
        .collect();
    match working.as_slice() {
        [] => None,
        [only] => Some(format!("did you mean {only}?")),
        [several @ .., last] => Some(format!("did you mean {} or {last}?", several.join(", "))),
    }
}

fn plain(text: &str) -> Scalar {
    Scalar {
        text: text.to_owned(),
        style: Style::Plain,
    }
}

fn candidates(text: &str) -> Vec<String> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (digits, unit) = (&text[..end], text[end..].trim());
    let Ok(number) = digits.parse::<f64>() else {
        return Vec::new();
    };
    if unit.is_empty() {
        let fraction = (number > 0.0 && number < 1.0).then(|| format!("{}%", number * 100.0));
        let units = UNITS.iter().map(|unit| format!("{digits}{unit}"));
        return match fraction {
            Some(fraction) => [fraction]
                .into_iter()
                .chain(units.filter(|text| !text.ends_with('%')))
                .collect(),
            None => units.collect(),
        };
    }
    let word = unit.to_lowercase();
    let known = WORDS
        .iter()
        .filter(|(name, _)| *name == word)
        .map(|(_, unit)| format!("{digits}{unit}"));
    let same = UNITS
        .iter()
        .filter(|name| name.to_lowercase().starts_with(&word))
        .map(|unit| format!("{digits}{unit}"));
    known.chain(same).collect()
}
