//! `fractional`: which of several weighted variants a text falls on, the same on every node and in every SDK.

use super::value::{Text, Val};

/// flagd adds weights up as 32-bit whole numbers.
pub(super) const WEIGHTS_MAX: i64 = (1 << 31) - 1;

/// The buckets of a rule, or nothing where one is not `[variant]` or `[variant, weight]`.
pub(super) struct Buckets<'a> {
    all: Vec<(Val<'a>, u64)>,
    total: u64,
}

impl<'a> Buckets<'a> {
    pub(super) fn read(buckets: &[Val<'a>]) -> Option<Self> {
        let all: Vec<_> = buckets.iter().map(bucket).collect::<Option<_>>()?;
        let total = all
            .iter()
            .try_fold(0_u64, |sum, (_, weight)| sum.checked_add(*weight))?;
        (total <= WEIGHTS_MAX.unsigned_abs()).then_some(Self { all, total })
    }

    /// Bucketing 2. Hashes are spread evenly over the weights; each bucket owns as many as it weighs.
    pub(super) fn choose(self, seed: &str) -> Option<Val<'a>> {
        let chosen = (u64::from(murmur3(seed.as_bytes())) * self.total) >> 32;
        let mut sum = 0;
        self.all.into_iter().find_map(|(variant, weight)| {
            sum += weight;
            (sum > chosen).then_some(variant)
        })
    }
}

fn bucket<'a>(bucket: &Val<'a>) -> Option<(Val<'a>, u64)> {
    let Val::List(parts) = bucket else { return None };
    let variant = parts
        .get(0)
        .filter(|variant| !matches!(variant, Val::List(_) | Val::Object(_)))?;
    let weight = match (parts.len(), parts.get(1)) {
        (1, _) => 1,
        (2, Some(Val::Number(weight))) => whole(weight)?,
        _ => return None,
    };
    Some((variant, weight))
}

/// A rollout that is computed may have gone below nothing.
fn whole(weight: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "more than all weights may be stays more"
    )]
    (weight.fract() == 0.0).then_some(weight.max(0.0) as u64)
}

/// MurmurHash3 for 32 bits, x86, seed 0.
pub(super) fn murmur3(bytes: &[u8]) -> u32 {
    let mix = |part: u32| part.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let number = |part: &[u8]| part.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte));
    let (blocks, rest) = bytes.as_chunks::<4>();
    let hash = blocks.iter().fold(0_u32, |hash, block| {
        (hash ^ mix(number(block)))
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64)
    });
    // The algorithm takes the length modulo 2^32.
    #[expect(clippy::cast_possible_truncation, reason = "as said above")]
    let hash = hash ^ mix(number(rest)) ^ bytes.len() as u32;
    let hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// The buckets among the arguments of `fractional`, and the text before them. Null stands for no text.
pub(super) fn arguments(mut all: Vec<Val<'_>>) -> (Option<Text<'_>>, Vec<Val<'_>>) {
    match all.first() {
        Some(Val::Text(seed)) => {
            let seed = seed.clone();
            all.remove(0);
            (Some(seed), all)
        }
        Some(Val::Null) => {
            all.remove(0);
            (None, all)
        }
        _ => (None, all),
    }
}

#[cfg(test)]
mod tests {
    use super::murmur3;

    #[test]
    fn the_published_hashes_hold() {
        let published = [
            ("", 0),
            ("ejOoVL", 0),
            ("bY9fO-", 1),
            ("SI7p-", 0x7fff_ffff),
            ("6LvT0", 0x8000_0000),
            ("ceQdGm", 0xffff_ffff),
        ];
        for (text, hash) in published {
            assert_eq!(murmur3(text.as_bytes()), hash, "{text}");
        }
    }
}
