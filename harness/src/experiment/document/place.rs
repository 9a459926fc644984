/// A stretch of a source text, in bytes; empty where something is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A text and the name it is shown by.
#[derive(Debug, Clone)]
pub struct Source {
    /// As the person wrote the path.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// Line and column, both from 1; columns count characters.
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let offset = self.boundary(offset);
        let start = self.line_start(offset);
        let line = self.text[..start].matches('\n').count() + 1;
        (line, self.text[start..offset].chars().count() + 1)
    }

    /// The text of the line that holds `offset`, and where in the text it starts.
    pub fn line_at(&self, offset: usize) -> (&str, usize) {
        let start = self.line_start(self.boundary(offset));
        let line = self.text[start..].lines().next().unwrap_or_default();
        (line, start)
    }

    fn line_start(&self, offset: usize) -> usize {
        self.text[..offset]
            .rfind('\n')
            .map_or(0, |newline| newline + 1)
    }

    /// The nearest offset at or before `offset` that is inside the text and between two characters.
    fn boundary(&self, offset: usize) -> usize {
        self.text.floor_char_boundary(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let source = Source {
            name: "x".into(),
            text: "a: 1\nß: é5\n".into(),
        };
        assert_eq!(source.line_and_column(0), (1, 1));
        assert_eq!(source.line_and_column(3), (1, 4));
        let five = source.text.find('5').unwrap();
        assert_eq!(source.line_and_column(five), (2, 5));
        assert_eq!(source.line_at(five).0, "ß: é5");
        assert_eq!(source.line_and_column(9999), (3, 1));
    }
}
