//! How a value is made that nobody has to type: characters of some classes, or bytes as text. Chance is an argument.

use std::collections::BTreeSet;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::{Error, Result};

/// Where random bytes come from: each call fills all of what it is given.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// What is made is as hard to guess as a number of this many bits.
pub const LEAST_BITS: u32 = 64;
const LENGTHS: std::ops::RangeInclusive<u16> = 8..=1024;
const USUAL_LENGTH: u16 = 40;
/// Random bytes are taken by this many at a time.
const BLOCK: usize = 256;
/// A recipe that is accepted needs one block or a few; a source that needs more than this is broken.
const MOST_BLOCKS: usize = 10_000;

/// Characters that count as one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    Lower,
    Upper,
    Digits,
    Symbols,
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Upper => "upper",
            Self::Digits => "digits",
            Self::Symbols => "symbols",
        }
    }

    fn has(self, byte: u8) -> bool {
        match self {
            Self::Lower => byte.is_ascii_lowercase(),
            Self::Upper => byte.is_ascii_uppercase(),
            Self::Digits => byte.is_ascii_digit(),
            Self::Symbols => byte.is_ascii_punctuation(),
        }
    }
}

/// How random bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    #[default]
    Hex,
    /// With padding.
    Base64,
    /// Without padding.
    Base64Url,
}

impl Encoding {
    fn text(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => HEXLOWER.encode(bytes),
            Self::Base64 => BASE64.encode(bytes),
            Self::Base64Url => BASE64URL_NOPAD.encode(bytes),
        }
    }
}

/// A recipe that can be followed: what was parsed was checked. Written as `{"length": 40, "classes": ["lower"], "exclude":
/// "l"}` or `{"bytes": 32, "encoding": "hex"}`; `{}` is 40 lower-case and upper-case letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RecipeFields", into = "RecipeFields")]
pub struct Recipe(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Characters {
        length: u16,
        classes: BTreeSet<Class>,
        exclude: BTreeSet<u8>,
    },
    Bytes {
        bytes: u16,
        encoding: Encoding,
    },
}

/// A recipe as it is sent and stored, unchecked.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecipeFields {
    /// How many characters. Usually 40.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 8, max = 1024))]
    pub length: Option<u16>,
    /// What it is made of, with at least one of each. Usually `lower`, `upper` and `digits`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<BTreeSet<Class>>,
    /// Characters that the target does not take, or that people confuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<String>,
    /// Instead of characters: how many random bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 8, max = 1024))]
    pub bytes: Option<u16>,
    /// How the bytes are written. Usually `hex`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self(Form::Characters {
            length: USUAL_LENGTH,
            classes: BTreeSet::from([Class::Lower, Class::Upper, Class::Digits]),
            exclude: BTreeSet::new(),
        })
    }
}

impl TryFrom<RecipeFields> for Recipe {
    type Error = Error;

    fn try_from(fields: RecipeFields) -> Result<Self> {
        let usual = RecipeFields::from(Self::default());
        let of_bytes = fields.bytes.is_some() || fields.encoding.is_some();
        let of_characters = fields.length.is_some() || fields.classes.is_some() || fields.exclude.is_some();
        let form = match (of_bytes, of_characters) {
            (true, true) => {
                return Err(Error::invalid(
                    "A recipe is of characters ('length', 'classes', 'exclude') or of bytes ('bytes', 'encoding').",
                ));
            }
            (true, false) => Form::Bytes {
                bytes: fields
                    .bytes
                    .ok_or_else(|| Error::invalid("'encoding' needs 'bytes': how many there are."))?,
                encoding: fields.encoding.unwrap_or_default(),
            },
            (false, _) => Form::Characters {
                length: fields.length.unwrap_or(USUAL_LENGTH),
                classes: fields.classes.or(usual.classes).unwrap_or_default(),
                exclude: excluded(fields.exclude.as_deref().unwrap_or_default())?,
            },
        };
        form.check()?;
        Ok(Self(form))
    }
}

fn excluded(text: &str) -> Result<BTreeSet<u8>> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.bytes().collect())
    } else {
        Err(Error::invalid(
            "'exclude' names letters, digits and symbols of ASCII: there are no others to leave out.",
        ))
    }
}

impl From<Recipe> for RecipeFields {
    fn from(recipe: Recipe) -> Self {
        match recipe.0 {
            Form::Characters {
                length,
                classes,
                exclude,
            } => Self {
                length: Some(length),
                classes: Some(classes),
                exclude: (!exclude.is_empty()).then(|| exclude.into_iter().map(char::from).collect()),
                ..Self::default()
            },
            Form::Bytes { bytes, encoding } => Self {
                bytes: Some(bytes),
                encoding: Some(encoding),
                ..Self::default()
            },
        }
    }
}

impl Form {
    fn check(&self) -> Result<()> {
        let (what, count) = match self {
            Self::Characters { length, .. } => ("length", *length),
            Self::Bytes { bytes, .. } => ("bytes", *bytes),
        };
        if !LENGTHS.contains(&count) {
            return Err(Error::invalid(format!("'{what}' is 8 to 1,024.")));
        }
        let Self::Characters {
            length,
            classes,
            exclude,
        } = self
        else {
            return Ok(());
        };
        if classes.is_empty() {
            return Err(Error::invalid(
                "'classes' names at least one of 'lower', 'upper', 'digits' and 'symbols'.",
            ));
        }
        let left = |class: &Class| characters(*class, exclude).next().is_some();
        if let Some(class) = classes.iter().find(|class| !left(class)) {
            let class = class.name();
            return Err(Error::invalid(format!(
                "'exclude' leaves no character of '{class}': take it out of 'classes', or exclude less."
            )));
        }
        let bits = bits(*length, classes, exclude);
        if bits < f64::from(LEAST_BITS) {
            return Err(Error::invalid(format!(
                "What it makes has {bits:.0} bits of chance, and {LEAST_BITS} are the least: raise 'length', name more 'classes', or exclude less."
            )));
        }
        Ok(())
    }
}

fn characters(class: Class, exclude: &BTreeSet<u8>) -> impl Iterator<Item = u8> {
    (0..=u8::MAX).filter(move |byte| class.has(*byte) && !exclude.contains(byte))
}

/// The logarithm of how many different values there are: by inclusion and exclusion, those that lack none of the classes.
fn bits(length: u16, classes: &BTreeSet<Class>, exclude: &BTreeSet<u8>) -> f64 {
    let sizes = classes
        .iter()
        .map(|class| characters(*class, exclude).fold(0.0, |size, _| size + 1.0));
    let sizes: Vec<f64> = sizes.collect();
    let all: f64 = sizes.iter().sum();
    let lacking = |which: u32| {
        let lacks = |at: usize| which & (1 << at) != 0;
        let gone: f64 = sizes
            .iter()
            .enumerate()
            .filter(|(at, _)| lacks(*at))
            .map(|(_, size)| size)
            .sum();
        let sign = if which.count_ones().is_multiple_of(2) {
            1.0
        } else {
            -1.0
        };
        sign * ((all - gone) / all).powi(i32::from(length))
    };
    let part: f64 = (0..1 << sizes.len()).map(lacking).sum();
    f64::from(length) * all.log2() + part.log2()
}

impl Recipe {
    /// One value, each that the recipe allows as likely as any other.
    ///
    /// Characters are drawn one by one from all that are allowed: a byte that would favour some of them is left out. A
    /// whole text that lacks a class is thrown away, so that what stays is drawn evenly from the texts that lack none;
    /// to mend it instead, by putting a digit somewhere, would make some texts likelier than others.
    pub fn make(&self, random: Random<'_>) -> Result<Zeroizing<String>> {
        match &self.0 {
            Form::Bytes { bytes, encoding } => {
                let mut drawn = Zeroizing::new(vec![0; usize::from(*bytes)]);
                random(&mut drawn);
                Ok(Zeroizing::new(encoding.text(&drawn)))
            }
            Form::Characters {
                length,
                classes,
                exclude,
            } => draw(usize::from(*length), classes, exclude, random)
                .ok_or_else(|| Error::internal("the source of randomness gives the same bytes again and again")),
        }
    }
}

fn draw(
    length: usize,
    classes: &BTreeSet<Class>,
    exclude: &BTreeSet<u8>,
    random: Random<'_>,
) -> Option<Zeroizing<String>> {
    let allowed: Vec<u8> = classes.iter().flat_map(|class| characters(*class, exclude)).collect();
    let fair = (BLOCK / allowed.len()) * allowed.len();
    let mut text = Zeroizing::new(String::with_capacity(length));
    let mut block = Zeroizing::new([0; BLOCK]);
    for _ in 0..MOST_BLOCKS {
        random(block.as_mut_slice());
        for byte in block.iter().copied().map(usize::from).filter(|byte| *byte < fair) {
            text.push(char::from(*allowed.get(byte % allowed.len())?));
            if text.len() < length {
                continue;
            }
            if classes.iter().all(|class| text.bytes().any(|byte| class.has(byte))) {
                return Some(text);
            }
            text.zeroize();
        }
    }
    None
}

#[cfg(test)]
mod tests;
