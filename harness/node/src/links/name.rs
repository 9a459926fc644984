use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a link: 1 to 15 of `a-z A-Z 0-9 . _ -`, starting with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkName(String);

impl LinkName {
    /// Links of ours that stand in a namespace that is not ours start with this.
    pub const PREFIX: &str = "db-";

    /// The loopback link.
    pub fn loopback() -> LinkName {
        LinkName("lo".to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name carries our tag.
    pub fn is_ours(&self) -> bool {
        self.0.starts_with(LinkName::PREFIX)
    }
}

/// A text that cannot name a link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a link name: 1 to 15 letters, digits, dots, dashes or underscores, starting with a letter or digit"
)]
pub struct LinkNameError {
    text: String,
}

impl FromStr for LinkName {
    type Err = LinkNameError;

    fn from_str(text: &str) -> Result<LinkName, LinkNameError> {
        let mut chars = text.chars();
        let first = chars.next().is_some_and(|c| c.is_ascii_alphanumeric());
        let rest = chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        (first && rest && text.len() <= 15)
            .then(|| LinkName(text.to_owned()))
            .ok_or_else(|| LinkNameError {
                text: text.to_owned(),
            })
    }
}

impl TryFrom<String> for LinkName {
    type Error = LinkNameError;
    fn try_from(text: String) -> Result<LinkName, LinkNameError> {
        text.parse()
    }
}

impl From<LinkName> for String {
    fn from(name: LinkName) -> String {
        name.0
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        for text in [
            "",
            "-x",
            "../x",
            "a b",
            "a/b",
            "a\0b",
            "abcdefghijklmnop",
            "é",
        ] {
            assert!(text.parse::<LinkName>().is_err(), "{text:?}");
        }
        assert!("db-s1".parse::<LinkName>().unwrap().is_ours());
        assert!(!"eth0".parse::<LinkName>().unwrap().is_ours());
    }
}
