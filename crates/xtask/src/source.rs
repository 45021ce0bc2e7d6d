//! Just enough reading of Rust to measure functions and list a trait's methods: no parser, so tidy builds in seconds.

pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) lines: usize,
}

/// The source with comments, strings and character literals blanked out. Lines stay where they are, and every brace that
/// is left is one that the compiler counts.
pub(crate) fn mask(source: &str) -> String {
    let mut masked = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let hidden = hidden_length(rest);
        let (taken, after) = rest.split_at(hidden.unwrap_or(first.len_utf8()));
        if hidden.is_some() {
            masked.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            masked.push_str(taken);
        }
        rest = after;
    }
    masked
}

/// The length in bytes of the comment, string or character literal that `rest` begins with.
fn hidden_length(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment_length(rest));
    }
    if let Some(after) = rest.strip_prefix('"') {
        return Some(1 + quoted_length(after, '"'));
    }
    if let Some(after) = rest.strip_prefix('r') {
        let hashes = after.len() - after.trim_start_matches('#').len();
        let body = after.trim_start_matches('#').strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let length = body.find(&end).map_or(body.len(), |at| at + end.len());
        return Some(2 + hashes + length);
    }
    let after = rest.strip_prefix('\'')?;
    let mut characters = after.chars();
    let first = characters.next()?;
    // `'a'` is a character, `'a` a lifetime.
    (first == '\\' || characters.next() == Some('\'')).then(|| 1 + quoted_length(after, '\''))
}

/// The length up to and with the closing quote.
fn quoted_length(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    body.len()
}

fn block_comment_length(comment: &str) -> usize {
    let mut depth = 0_usize;
    let mut previous = ' ';
    for (at, c) in comment.char_indices() {
        match (previous, c) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth = depth.saturating_sub(1),
            _ => {
                previous = c;
                continue;
            }
        }
        if depth == 0 {
            return at + 1;
        }
        // The two characters are used up: `/*/` opens a comment and does not close it.
        previous = ' ';
    }
    comment.len()
}

/// The masked lines before the test module that ends the file.
pub(crate) fn without_tests(masked: &str) -> Vec<&str> {
    let lines: Vec<&str> = masked.lines().collect();
    let is_test_module = |at: usize| {
        let mut following = lines
            .iter()
            .skip(at)
            .map(|line| line.trim())
            .skip_while(|line| line.starts_with("#["));
        following
            .next()
            .is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    let end = (0..lines.len()).find(|&at| {
        lines
            .get(at)
            .is_some_and(|line| line.trim().starts_with("#[cfg(test)]"))
            && is_test_module(at)
    });
    lines.into_iter().take(end.unwrap_or(usize::MAX)).collect()
}

/// Every function with a body, from its `fn` line to the brace that closes it.
pub(crate) fn functions(masked: &[&str]) -> Vec<Function> {
    let measure = |(at, line): (usize, &&str)| {
        let name = function_name(line)?.to_owned();
        let lines = item_length(masked.iter().skip(at).copied())?;
        Some(Function { name, lines })
    };
    masked.iter().enumerate().filter_map(measure).collect()
}

/// The methods of `pub trait <name>`, or `None` where there is no such trait.
pub(crate) fn trait_methods(source: &str, name: &str) -> Option<Vec<String>> {
    let masked = mask(source);
    let lines: Vec<&str> = masked.lines().collect();
    let begins_trait = |line: &&str| {
        let after = line
            .trim_start()
            .strip_prefix("pub trait ")
            .and_then(|rest| rest.strip_prefix(name));
        after.is_some_and(|rest| !rest.starts_with(is_name_character))
    };
    let start = lines.iter().position(begins_trait)?;
    let length = item_length(lines.iter().skip(start).copied())?;
    let body = lines.iter().skip(start).take(length);
    Some(body.filter_map(|line| function_name(line)).map(str::to_owned).collect())
}

/// How many lines an item takes up to the brace that closes it; `None` where a semicolon ends it without a body.
fn item_length<'a>(masked: impl Iterator<Item = &'a str>) -> Option<usize> {
    let mut braces = 0_usize;
    let mut brackets = 0_usize; // so that the semicolon of `[u8; 32]` ends nothing
    for (at, line) in masked.enumerate() {
        for c in line.chars() {
            match c {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets = brackets.saturating_sub(1),
                '{' => braces += 1,
                '}' => braces = braces.saturating_sub(1),
                ';' if braces == 0 && brackets == 0 => return None,
                _ => {}
            }
            if c == '}' && braces == 0 && brackets == 0 {
                return Some(at + 1);
            }
        }
    }
    None
}

/// The name of the function that a line begins.
fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    if let Some(after) = rest.strip_prefix("pub") {
        let after = after
            .strip_prefix('(')
            .and_then(|scope| scope.split_once(')'))
            .map_or(after, |(_, after)| after);
        rest = after.strip_prefix(' ')?.trim_start();
    }
    while let Some((word, after)) = rest.split_once(' ') {
        match word {
            "const" | "async" | "unsafe" | "extern" => rest = after.trim_start(),
            "fn" => {
                let end = after.find(|c| !is_name_character(c)).unwrap_or(after.len());
                return after.get(..end).filter(|name| !name.is_empty());
            }
            _ => return None,
        }
    }
    None
}

fn is_name_character(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(source: &str) -> Vec<(String, usize)> {
        let masked = mask(source);
        functions(&without_tests(&masked))
            .into_iter()
            .map(|function| (function.name, function.lines))
            .collect()
    }

    #[test]
    fn a_mask_hides_braces_and_keeps_lines() {
        let source = "a // {\nb /* { /* { */\n{ */ c \"{\\\"{\" '{' '\\'' r#\"{\"{\"# br\"{\\\" b'{' d";
        let masked = mask(source);
        assert!(!masked.contains('{'), "{masked}");
        assert_eq!(masked.lines().count(), source.lines().count());
        assert_eq!(masked.split_whitespace().collect::<String>(), "abcbbd");
    }

    #[test]
    fn a_lifetime_is_no_character() {
        assert_eq!(
            mask("fn f<'a>(x: &'a str) -> X<'a> { 'x' }"),
            "fn f<'a>(x: &'a str) -> X<'a> {     }"
        );
    }

    #[test]
    fn an_unfinished_comment_or_string_ends_with_the_file() {
        assert_eq!(mask("x /* /"), "x     ");
        assert_eq!(mask("x \"ä"), "x   ");
        assert_eq!(mask("/*/ {"), "     ");
    }

    #[test]
    fn functions_are_measured_to_their_closing_brace() {
        let source = "pub(crate) const fn one() {}\n\n    async fn two(\n        x: [u8; 32],\n    ) -> u8 {\n        if x { \"}\" }\n    }\nfn three();\npub async fn four<T>()\nwhere\n    T: X,\n{\n}\n";
        assert_eq!(
            measured(source),
            [("one".to_owned(), 1), ("two".to_owned(), 5), ("four".to_owned(), 5)]
        );
    }

    #[test]
    fn what_only_looks_like_a_function_is_none() {
        assert!(
            measured("// fn no() {}\nlet x = \"fn no() {}\";\npublish fn no() {}\nfn_no() {}\ntype F = fn(u8);")
                .is_empty()
        );
    }

    #[test]
    fn the_test_module_is_left_out_and_a_test_only_import_is_not_its_start() {
        let source = "#[cfg(test)]\nuse x;\nfn a() {}\n#[cfg(test)]\n#[expect(y)]\nmod tests {\n    fn b() {}\n}\n";
        assert_eq!(measured(source), [("a".to_owned(), 1)]);
        assert_eq!(without_tests(source).len(), 3);
    }

    #[test]
    fn the_methods_of_one_trait_are_listed() {
        let source = "pub trait StoreMore {\n    fn no();\n}\npub trait Store: Send {\n    /// fn comment()\n    fn apply(\n        &self,\n    ) -> X<'_>;\n    async fn read(&self) {\n    }\n}\nfn after() {}\n";
        assert_eq!(trait_methods(source, "Store").unwrap(), ["apply", "read"]);
        assert!(trait_methods(source, "Clock").is_none());
    }
}
