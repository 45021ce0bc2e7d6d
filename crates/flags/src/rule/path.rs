//! What `var` and `missing` name: members of members, split at dots.

use super::value::Val;

#[derive(Clone, Debug)]
pub(crate) struct Path(Vec<String>);

impl Path {
    /// A dot, a slash or a backslash behind a backslash is itself.
    pub(crate) fn parse(text: &str) -> Self {
        let (mut steps, mut step) = (Vec::new(), String::new());
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next_if(|next| matches!(next, '.' | '/' | '\\')) {
                    Some(escaped) => step.push(escaped),
                    None => step.push('\\'),
                },
                '.' => steps.push(std::mem::take(&mut step)),
                _ => step.push(c),
            }
        }
        // A text of dots alone has a step before each of them and none behind the last.
        if steps.len() != text.len() {
            steps.push(step);
        }
        Self(steps)
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// What is at the path's end. The empty path names everything.
    pub(crate) fn find<'a>(&self, from: &Val<'a>) -> Option<Val<'a>> {
        let mut found = from.clone();
        for step in &self.0 {
            found = found.member(step)?;
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_splits_at_dots_that_are_not_escaped() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("a", &["a"]),
            ("a.b.c", &["a", "b", "c"]),
            ("a\\.b.c", &["a.b", "c"]),
            ("a\\\\.b", &["a\\", "b"]),
            ("a\\n", &["a\\n"]),
            ("a.", &["a", ""]),
            (".a", &["", "a"]),
            (".", &[""]),
        ];
        for (text, steps) in cases {
            assert_eq!(Path::parse(text).0, *steps, "{text}");
        }
    }
}
