//! Numbers as text and text as numbers, the way JavaScript does both.

/// The number that a text is, or NaN.
pub(super) fn parse(text: &str) -> f64 {
    let text = text.trim_matches(is_space);
    let (sign, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (-1.0, text.get(1..).unwrap_or_default()),
        Some(b'+') => (1.0, text.get(1..).unwrap_or_default()),
        _ => (1.0, text),
    };
    match unsigned {
        "" if text.is_empty() => return 0.0,
        "Infinity" => return sign * f64::INFINITY,
        _ => {}
    }
    if let Some(whole) = with_base(text) {
        return whole;
    }
    // Rust's own parser would also take `inf` and `nan`.
    let decimal = unsigned
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
        && unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    if decimal {
        unsigned.parse().map_or(f64::NAN, |number: f64| sign * number)
    } else {
        f64::NAN
    }
}

/// JavaScript's white space and line ends.
fn is_space(c: char) -> bool {
    c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}')
}

fn with_base(text: &str) -> Option<f64> {
    let base = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => 16,
        [b'0', b'o' | b'O', ..] => 8,
        [b'0', b'b' | b'B', ..] => 2,
        _ => return None,
    };
    let digits = text.get(2..).unwrap_or_default();
    if digits.is_empty() {
        return Some(f64::NAN);
    }
    let sum = digits.chars().try_fold(0.0, |sum: f64, c| {
        Some(sum * f64::from(base) + f64::from(c.to_digit(base)?))
    });
    Some(sum.unwrap_or(f64::NAN))
}

/// The shortest text that is this number.
pub(super) fn print(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    let sign = if number < 0.0 { "-" } else { "" };
    if number.is_infinite() {
        return format!("{sign}Infinity");
    }
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = mantissa.replace('.', "");
    // Where the point stands, counted from the first digit.
    let point = exponent.parse::<i32>().unwrap_or_default() + 1;
    format!("{sign}{}", layout(&digits, point))
}

fn layout(digits: &str, point: i32) -> String {
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or_default());
    if (count..=21).contains(&point) {
        return format!("{digits}{}", zeros(point - count));
    }
    if (1..=21).contains(&point) {
        let (whole, rest) = digits.split_at(usize::try_from(point).unwrap_or_default());
        return format!("{whole}.{rest}");
    }
    if (-5..=0).contains(&point) {
        return format!("0.{}{digits}", zeros(-point));
    }
    let (first, rest) = digits.split_at(1);
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!(".{rest}")
    };
    format!("{first}{rest}e{:+}", point - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_in_javascript() {
        let cases = [
            (1.0, "1"),
            (-0.0, "0"),
            (1.5, "1.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e21, "1e+21"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (0.000_001, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (-1e-7, "-1e-7"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "Infinity"),
            (100.0, "100"),
        ];
        for (number, text) in cases {
            assert_eq!(print(number), text);
        }
    }

    #[test]
    fn texts_are_numbers_as_in_javascript() {
        let cases = [
            ("", 0.0),
            (" \n12 ", 12.0),
            ("0x1F", 31.0),
            ("0b101", 5.0),
            ("0o17", 15.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("-1e3", -1000.0),
            ("+7", 7.0),
            ("-Infinity", f64::NEG_INFINITY),
        ];
        for (text, number) in cases {
            assert_eq!(parse(text).total_cmp(&number), std::cmp::Ordering::Equal, "{text}");
        }
        for text in [
            "abc", "inf", "nan", "1_000", "1 2", "--1", "+-1", "0x", "-0x1", "-", ".", "e5", "1n", "infinity",
        ] {
            assert!(parse(text).is_nan(), "{text}");
        }
    }
}
