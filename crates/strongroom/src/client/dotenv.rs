//! `.env` files, read the way people mean them and never guessing:
//!
//! - a line is blank, a `#` comment, or `NAME=VALUE`, with `export ` before it or not; spaces around `=` do not count;
//! - a name is a letter or `_`, then letters, digits, `_`, `.` and `-`;
//! - 'single quotes' keep what they hold, "double quotes" know `\n \r \t \" \\ \$`, and both may span lines;
//! - a bare value ends with its line or at a ` #`, without the spaces at its end;
//! - `$NAME` stands for itself: a secret may hold a `$`;
//! - a name that comes twice is a mistake.
//!
//! A mistake names its line, never a value.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: Zeroizing<String>,
    /// Counted from 1.
    pub(super) line: usize,
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variable({} in line {})", self.name, self.line)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) line: usize,
    pub(super) what: String,
}

/// The variables in the order of the file.
pub(super) fn parse(text: &str) -> Result<Vec<Variable>, Mistake> {
    let mut reader = Reader {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        line: 1,
    };
    let mut variables = Vec::new();
    let mut first_lines: BTreeMap<String, usize> = BTreeMap::new();
    while !reader.rest.is_empty() {
        let Some(variable) = reader.statement()? else { continue };
        if let Some(first) = first_lines.insert(variable.name.clone(), variable.line) {
            let what = format!("{} is set here and in line {first} already.", variable.name);
            return Err(Mistake {
                line: variable.line,
                what,
            });
        }
        variables.push(variable);
    }
    Ok(variables)
}

/// What [`parse`] reads back, one variable a line, without the newline at its end.
pub(super) fn write<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) -> Zeroizing<String> {
    let variables: Vec<_> = variables.collect();
    // Room for all of it, so that it never grows and leaves a copy behind.
    let room = variables
        .iter()
        .map(|(name, value)| name.len() + 2 * value.len() + "=''\n".len());
    let mut text = Zeroizing::new(String::with_capacity(room.sum()));
    for (name, value) in variables {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(name);
        text.push('=');
        if value.contains('\'') {
            write_double_quoted(value, &mut text);
        } else {
            // Single quotes mean the same to every reader.
            text.extend(["'", value, "'"]);
        }
    }
    text
}

fn write_double_quoted(value: &str, text: &mut String) {
    text.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    /// One line, or several where a quoted value spans them. `None`: nothing but space and comment.
    fn statement(&mut self) -> Result<Option<Variable>, Mistake> {
        self.skip_space();
        if self.at_end_of_line() {
            self.skip_line();
            return Ok(None);
        }
        let line = self.line;
        let name = self.name()?;
        self.skip_space();
        self.rest = self
            .rest
            .strip_prefix('=')
            .ok_or_else(|| self.mistake("there is no '=' behind the name."))?;
        let value = self.value()?;
        Ok(Some(Variable {
            name: name.to_owned(),
            value,
            line,
        }))
    }

    fn name(&mut self) -> Result<&'a str, Mistake> {
        if let Some(rest) = self
            .rest
            .strip_prefix("export")
            .filter(|rest| rest.starts_with([' ', '\t']))
        {
            self.rest = rest;
            self.skip_space();
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let name = self.take_while(is_part);
        if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            Ok(name)
        } else {
            Err(self.mistake("a line starts with a name: a letter or '_', then letters, digits, '_', '.' and '-'."))
        }
    }

    /// What is behind the `=`, and the rest of its line.
    fn value(&mut self) -> Result<Zeroizing<String>, Mistake> {
        let before = self.rest;
        self.skip_space();
        let value = if let Some(rest) = self.rest.strip_prefix('\'') {
            self.rest = rest;
            self.single_quoted()?
        } else if let Some(rest) = self.rest.strip_prefix('"') {
            self.rest = rest;
            self.double_quoted()?
        } else {
            // With its leading space, so that `A= # comment` is an empty value and `A=#b` is not.
            self.rest = before;
            return Ok(self.bare());
        };
        self.skip_space();
        if !self.at_end_of_line() {
            return Err(self.mistake("only a comment may follow a closing quote."));
        }
        self.skip_line();
        Ok(value)
    }

    fn single_quoted(&mut self) -> Result<Zeroizing<String>, Mistake> {
        let Some((value, rest)) = self.rest.split_once('\'') else {
            return Err(self.mistake("the single quote is never closed."));
        };
        self.line += value.matches('\n').count();
        self.rest = rest;
        Ok(Zeroizing::new(value.to_owned()))
    }

    fn double_quoted(&mut self) -> Result<Zeroizing<String>, Mistake> {
        let opened = self.line;
        // As long as what may be left, so that it never grows and leaves a copy behind.
        let mut value = Zeroizing::new(String::with_capacity(self.rest.find("\"\n").unwrap_or(self.rest.len())));
        loop {
            match self.next() {
                Some('"') => return Ok(value),
                Some('\\') => value.push(self.escaped()?),
                Some(c) => value.push(c),
                None => {
                    return Err(Mistake {
                        line: opened,
                        what: "the double quote is never closed.".into(),
                    });
                }
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Mistake> {
        let line = self.line;
        match self.next() {
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some(c @ ('"' | '\\' | '$')) => Ok(c),
            _ => Err(Mistake {
                line,
                what: r#"in double quotes, '\' stands before n, r, t, ", \ or $; single quotes keep it."#.into(),
            }),
        }
    }

    fn bare(&mut self) -> Zeroizing<String> {
        let text = self.take_while(|c| c != '\n');
        let comment = text
            .char_indices()
            .zip(text.chars().skip(1))
            .find(|((_, c), next)| is_space(*c) && *next == '#');
        let value = comment.and_then(|((at, _), _)| text.get(..at)).unwrap_or(text);
        self.skip_line();
        Zeroizing::new(value.trim_matches(is_space).to_owned())
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }

    fn skip_line(&mut self) {
        self.take_while(|c| c != '\n');
        self.next();
    }

    fn at_end_of_line(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with(['\n', '#'])
    }

    fn mistake(&self, what: &str) -> Mistake {
        Mistake {
            line: self.line,
            what: what.to_owned(),
        }
    }
}

/// Space within a line; `\r` too, so that lines may end in CRLF.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text)
            .unwrap()
            .into_iter()
            .map(|variable| (variable.name, variable.value.to_string()))
            .collect()
    }

    fn one(text: &str) -> String {
        pairs(text).pop().unwrap().1
    }

    #[test]
    fn a_whole_file() {
        let text = "\u{feff}# head\r\n\r\nA=1\r\nexport B = two words # said\n  C='x # $Y \\n'  # why\nD=\"l1\nl2\\n\\$HOME \\\"q\\\" \\\\\"\n\
                    E=\nF=a#b=c\nG='l1\nl2'\nexport=h\nI.j-k=\u{fc}";
        let wanted = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "x # $Y \\n"),
            ("D", "l1\nl2\n$HOME \"q\" \\"),
            ("E", ""),
            ("F", "a#b=c"),
            ("G", "l1\nl2"),
            ("export", "h"),
            ("I.j-k", "\u{fc}"),
        ];
        let wanted: Vec<(String, String)> = wanted.map(|(name, value)| (name.into(), value.into())).into();
        assert_eq!(pairs(text), wanted);
        let lines: Vec<usize> = parse(text).unwrap().iter().map(|variable| variable.line).collect();
        assert_eq!(lines, [3, 4, 5, 6, 8, 9, 10, 12, 13]);
    }

    #[test]
    fn where_a_comment_starts() {
        assert_eq!(one("A= # b"), "");
        assert_eq!(one("A=#b"), "#b");
        assert_eq!(one("A=b\t# c"), "b");
        assert_eq!(one("A=$B${C}`d`"), "$B${C}`d`");
        assert_eq!(one("A=it's"), "it's");
    }

    #[test]
    fn mistakes_name_lines_and_no_value() {
        for (text, line, what) in [
            ("A=1\nhunter2", 2, "no '='"),
            ("\n=hunter2", 2, "starts with a name"),
            ("1A=hunter2", 1, "starts with a name"),
            ("A='x\n\nhunter2", 1, "single quote is never closed"),
            ("A=\"x\n\nhunter2", 1, "double quote is never closed"),
            ("A=\"x\nhunter\\2\"", 2, "single quotes keep it"),
            ("A='x'hunter2", 1, "closing quote"),
            ("A='a\nb'\nB=1\n\nA=hunter2", 5, "line 1 already"),
        ] {
            let mistake = parse(text).unwrap_err();
            assert_eq!(mistake.line, line, "{text:?}: {mistake:?}");
            assert!(mistake.what.contains(what), "{text:?}: {mistake:?}");
            assert!(!mistake.what.contains("hunter"), "{mistake:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(values in proptest::collection::vec("([\"'\\\\$#= \n\r]|\\PC){0,20}", 0..5)) {
            let names: Vec<String> = (0..values.len()).map(|number| format!("N_{number}")).collect();
            let text = write(names.iter().zip(&values).map(|(name, value)| (name.as_str(), value.as_str())));
            let wanted: Vec<_> = names.into_iter().zip(values).collect();
            prop_assert_eq!(pairs(&text), wanted);
        }

        #[test]
        fn any_value_survives_double_quotes(value in any::<String>(), after in "[A-Z]{1,5}") {
            let mut text = String::from("x=");
            write_double_quoted(&value, &mut text);
            let variables = parse(&format!("{text}\n{after}=1")).unwrap();
            prop_assert_eq!(variables[0].value.as_str(), value.as_str());
            prop_assert_eq!(variables[1].name.as_str(), after.as_str());
        }

        #[test]
        fn what_has_no_quote_survives_single_quotes(value in "[^']*") {
            prop_assert_eq!(one(&format!("A='{value}'")), value);
        }

        #[test]
        fn a_plain_bare_value_is_itself(value in "[!$-~]([ -\"$-~]*[!-~&&[^#]])?") {
            prop_assume!(!value.starts_with(['\'', '"']));
            prop_assert_eq!(one(&format!("A={value}")), value);
        }

        #[test]
        fn any_text_is_read_or_refused_at_one_of_its_lines(text in "([A-C]|[ =#'\"\\\\$\r\n]|export |\\PC){0,60}") {
            let lines = text.matches('\n').count() + 1;
            match parse(&text) {
                Ok(variables) => prop_assert!(variables.iter().all(|variable| variable.line <= lines)),
                Err(mistake) => prop_assert!((1..=lines).contains(&mistake.line)),
            }
        }
    }
}
