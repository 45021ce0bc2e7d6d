//! Where ours and flagd-core differ on purpose. Each has its rule, and `oracle.mjs` a change by which flagd-core follows it.

pub(crate) struct Difference {
    /// What `oracle.mjs` calls it.
    pub(crate) name: &'static str,
    pub(crate) rule: &'static str,
}

#[rustfmt::skip] // a table
pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference { name: "rule-error", rule: "A rule that fails is a PARSE_ERROR, as flagd says; flagd-core says GENERAL." },
    Difference { name: "compare", rule: "`==`, `!=`, `<`, `<=`, `>`, `>=` fail where a text that is no number meets something that is no text; flagd-core forgets the left side where the right one is computed." },
    Difference { name: "constants", rule: "Operators mean the same with constants; flagd-core computes those at load by its interpreter, which differs from its compiler, and refuses the flag if that fails." },
    Difference { name: "brackets", rule: "Operators nest; flagd-core's compiler forgets the brackets of `and`, `or`, `all` and `missing` in `cat`, in the list of another operator and in the default of `var`." },
    Difference { name: "if-two", rule: "An `if` without an else means the same as one with null; flagd-core gives it to its interpreter." },
    Difference { name: "cat-null", rule: "`cat` leaves null out; flagd-core writes `null`." },
    Difference { name: "all-null", rule: "`all` of nothing is false, of null too; flagd-core says true of null." },
    Difference { name: "var-own", rule: "`var` and `missing` find what JSON has; flagd-core also finds the length and the characters of a text, and the length of a list." },
    Difference { name: "var-null", rule: "`var` with a default gives it for null; flagd-core gives null where the path is computed." },
    Difference { name: "flagd-in-lists", rule: "flagd's operators work in the rules of `map`, `filter`, `all`, `some`, `none` and `reduce`; in flagd-core they fail there." },
    Difference { name: "seed-null", rule: "`fractional` with null for a seed hashes flag key and targeting key; in flagd-core it gives null." },
    Difference { name: "utf-8", rule: "`fractional` hashes UTF-8, as flagd does; flagd-core hashes UTF-16 units, which differ beyond ASCII." },
    Difference { name: "half-character", rule: "`substr` that cuts a character in half puts U+FFFD for it; JavaScript keeps half of it." },
    Difference { name: "null-targeting", rule: "`\"targeting\": null` is a rule that gives null, so the reason is DEFAULT, as in flagd; flagd-core says STATIC." },
];
