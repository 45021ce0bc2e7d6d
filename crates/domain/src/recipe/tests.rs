use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn recipe(value: Value) -> Result<Recipe> {
    serde_json::from_value::<RecipeFields>(value).unwrap().try_into()
}

/// A small generator of its own, so that a failure repeats (Steele, Lea and Flood: SplitMix64).
fn chance(mut seed: u64) -> impl FnMut(&mut [u8]) {
    move |bytes| {
        for byte in bytes {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (mixed ^ (mixed >> 31)).to_le_bytes()[0];
        }
    }
}

/// Pearson's statistic of counts that should be equal.
fn chi_square(counts: impl Iterator<Item = u32> + Clone) -> f64 {
    let kinds = f64::from(u32::try_from(counts.clone().count()).unwrap());
    let expected = f64::from(counts.clone().sum::<u32>()) / kinds;
    counts
        .map(|count| (f64::from(count) - expected).powi(2) / expected)
        .sum()
}

/// The mean of the statistic and five of its standard deviations: once in a million runs by chance, and chance is fixed.
fn most(freedom: f64) -> f64 {
    freedom + 5.0 * (2.0 * freedom).sqrt()
}

#[test]
fn what_is_meant_when_nothing_is_said() {
    let usual = recipe(json!({})).unwrap();
    assert_eq!(usual, Recipe::default());
    let written = serde_json::to_value(&usual).unwrap();
    assert_eq!(
        written,
        json!({ "length": 40, "classes": ["lower", "upper", "digits"] })
    );
    let text = usual.make(&mut chance(1)).unwrap();
    assert!(text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
}

#[test]
fn bytes_are_written_as_they_are_drawn() {
    let made = |encoding: &str| {
        let recipe = recipe(json!({ "bytes": 8, "encoding": encoding })).unwrap();
        recipe.make(&mut |bytes: &mut [u8]| bytes.fill(0xfb)).unwrap()
    };
    assert_eq!(*made("hex"), "fbfbfbfbfbfbfbfb");
    assert_eq!(*made("base64"), "+/v7+/v7+/s=");
    assert_eq!(*made("base64url"), "-_v7-_v7-_s");
    assert_eq!(
        recipe(json!({ "bytes": 32 }))
            .unwrap()
            .make(&mut chance(1))
            .unwrap()
            .len(),
        64
    );
}

#[test]
fn what_cannot_be_followed_is_refused_with_what_to_change() {
    for (wrong, says) in [
        (json!({ "length": 7 }), "'length' is 8 to 1,024"),
        (json!({ "length": 1025 }), "'length' is 8 to 1,024"),
        (json!({ "bytes": 7 }), "'bytes' is 8 to 1,024"),
        (json!({ "bytes": 1025 }), "'bytes' is 8 to 1,024"),
        (json!({ "encoding": "hex" }), "'encoding' needs 'bytes'"),
        (json!({ "bytes": 32, "length": 40 }), "or of bytes"),
        (json!({ "bytes": 32, "exclude": "x" }), "or of bytes"),
        (json!({ "classes": [] }), "at least one of"),
        (json!({ "exclude": "0123456789" }), "no character of 'digits'"),
        (json!({ "exclude": "ü" }), "of ASCII"),
        (json!({ "exclude": " " }), "of ASCII"),
        (
            json!({ "length": 10 }),
            "has 59 bits of chance, and 64 are the least: raise 'length'",
        ),
        (json!({ "length": 19, "classes": ["digits"] }), "has 63 bits"),
        (
            json!({ "length": 1024, "classes": ["digits"], "exclude": "123456789" }),
            "has 0 bits",
        ),
    ] {
        let refused = recipe(wrong.clone()).unwrap_err();
        assert!(refused.detail.contains(says), "{wrong}: {}", refused.detail);
        assert!(
            serde_json::from_value::<Recipe>(wrong).is_err(),
            "what is stored is checked too"
        );
    }
    for right in [
        json!({ "length": 11 }),
        json!({ "length": 20, "classes": ["digits"] }),
        json!({ "length": 64, "classes": ["digits"], "exclude": "23456789" }),
        json!({ "bytes": 8 }),
    ] {
        assert!(recipe(right.clone()).is_ok(), "{right}");
    }
    for unknown in [
        json!({ "size": 40 }),
        json!({ "classes": ["Lower"] }),
        json!({ "length": -1 }),
    ] {
        assert!(serde_json::from_value::<RecipeFields>(unknown).is_err());
    }
}

/// Of four characters out of {a, 0, 1}, counted by hand: 81 texts, of which 16 lack `a` and 1 lacks digits.
#[test]
fn bits_count_the_texts_that_lack_no_class() {
    let classes = BTreeSet::from([Class::Lower, Class::Digits]);
    let exclude = ("bcdefghijklmnopqrstuvwxyz23456789").bytes().collect();
    assert!((bits(4, &classes, &exclude) - 64_f64.log2()).abs() < 1e-9);
}

/// Every text that this recipe allows comes, and none more often than another.
#[test]
fn texts_are_drawn_evenly() {
    let classes = BTreeSet::from([Class::Lower, Class::Digits]);
    let exclude = ("bcdefghijklmnopqrstuvwxyz23456789").bytes().collect();
    let mut random = chance(7);
    let mut seen = BTreeMap::<String, u32>::new();
    for _ in 0..64_000 {
        let text = draw(4, &classes, &exclude, &mut random).unwrap();
        *seen.entry(text.to_string()).or_default() += 1;
    }
    assert_eq!(seen.len(), 64);
    let found = chi_square(seen.values().copied());
    assert!(found < most(63.0), "{found}");
}

/// Of classes so long a text lacks none by chance, all characters are as likely at every place.
#[test]
fn characters_are_drawn_evenly() {
    let recipe =
        recipe(json!({ "length": 64, "classes": ["lower", "upper", "digits", "symbols"], "exclude": "\"'\\" }))
            .unwrap();
    let mut random = chance(11);
    let (mut everywhere, mut last) = (BTreeMap::<u8, u32>::new(), BTreeMap::<u8, u32>::new());
    for _ in 0..4_000 {
        let text = recipe.make(&mut random).unwrap();
        for byte in text.bytes() {
            *everywhere.entry(byte).or_default() += 1;
        }
        // Where a text that was mended would show it.
        *last.entry(text.bytes().last().unwrap()).or_default() += 1;
    }
    for counts in [everywhere, last] {
        assert_eq!(counts.len(), 91);
        let found = chi_square(counts.values().copied());
        assert!(found < most(90.0), "{found}");
    }
}

#[test]
fn a_source_that_gives_no_chance_ends_in_an_error() {
    for constant in [0, 7, 255] {
        let made = Recipe::default().make(&mut |bytes: &mut [u8]| bytes.fill(constant));
        assert_eq!(made.unwrap_err().code, crate::Code::Internal);
    }
}

fn classes() -> impl Strategy<Value = BTreeSet<Class>> {
    let all = vec![Class::Lower, Class::Upper, Class::Digits, Class::Symbols];
    proptest::sample::subsequence(all, 1..=4).prop_map(|classes| classes.into_iter().collect())
}

proptest! {
    #[test]
    fn what_is_made_is_what_was_asked_for(
        length in 8_u16..=1024,
        classes in classes(),
        exclude in "[!-~]{0,60}",
        seed: u64,
    ) {
        let fields = RecipeFields {
            length: Some(length),
            classes: Some(classes.clone()),
            exclude: Some(exclude.clone()),
            ..RecipeFields::default()
        };
        let Ok(recipe) = Recipe::try_from(fields) else { return Ok(()) };
        let text = recipe.make(&mut chance(seed)).unwrap();
        prop_assert_eq!(text.len(), usize::from(length));
        prop_assert!(!text.chars().any(|c| exclude.contains(c)));
        prop_assert!(text.bytes().all(|byte| classes.iter().any(|class| class.has(byte))));
        prop_assert!(classes.iter().all(|class| text.bytes().any(|byte| class.has(byte))));
        let stored = serde_json::to_string(&recipe).unwrap();
        prop_assert_eq!(serde_json::from_str::<Recipe>(&stored).unwrap(), recipe);
    }

    #[test]
    fn any_fields_are_taken_or_refused(
        length: Option<u16>,
        classes in proptest::option::of(classes()),
        exclude in proptest::option::of(any::<String>()),
        bytes: Option<u16>,
        seed: u64,
    ) {
        let fields = RecipeFields { length, classes, exclude, bytes, encoding: None };
        match Recipe::try_from(fields) {
            Ok(recipe) => prop_assert!(!recipe.make(&mut chance(seed)).unwrap().is_empty()),
            Err(error) => prop_assert_eq!(error.code, crate::Code::InvalidRequest),
        }
    }
}
