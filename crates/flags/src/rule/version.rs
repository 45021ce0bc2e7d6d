//! `sem_ver`: two versions compared as semver.org says.

use semver::Version;

/// Versions longer than this, or with larger numbers than the next, are none to npm's semver, which flagd's SDKs use.
const LENGTH_MAX: usize = 256;
const NUMBER_MAX: u64 = (1 << 53) - 1;
/// Digits of a number in a version that is not complete.
const PARTIAL_DIGITS_MAX: usize = 16;

/// Whether `one operator two` holds; nothing where one of them is no version, or there is no such operator.
pub(super) fn compare(one: &str, operator: &str, two: &str) -> Option<bool> {
    let (one, two) = (parse(one)?, parse(two)?);
    let order = one.cmp_precedence(&two);
    Some(match operator {
        "=" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        "^" => one.major == two.major,
        "~" => (one.major, one.minor) == (two.major, two.minor),
        _ => return None,
    })
}

/// `1`, `1.0` and `1.0.0` are versions, each also behind a `v`.
fn parse(text: &str) -> Option<Version> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    if text.len() > LENGTH_MAX {
        return None;
    }
    let full = complete(text).unwrap_or_else(|| text.trim().to_owned());
    let version = Version::parse(full.strip_prefix('v').unwrap_or(&full)).ok()?;
    [version.major, version.minor, version.patch]
        .iter()
        .all(|part| *part <= NUMBER_MAX)
        .then_some(version)
}

fn complete(text: &str) -> Option<String> {
    let is_number = |part: &str| {
        !part.is_empty() && part.len() <= PARTIAL_DIGITS_MAX && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    match text.split_once('.') {
        None if is_number(text) => Some(format!("{text}.0.0")),
        Some((major, minor)) if is_number(major) && is_number(minor) => Some(format!("{text}.0")),
        _ => None,
    }
}
