//! When flags were evaluated last, by what they gave; and those that may be stale. How often they were is counted beside.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::flag::{Flag, FlagPath};
use strongroom_domain::{Kind, ObjectId, Result, Time};
use strongroom_flags::Evaluation;

use super::Compiled;
use crate::Broker;
use crate::record::{Attempt, Served};
use crate::request::Request;

const DAY: Duration = Duration::from_hours(24);
/// Rows looked at together.
const CHUNK: u16 = 100;

/// What an evaluation gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Used<'a> {
    pub(crate) key: &'a str,
    /// None: the caller's own default.
    pub(crate) variant: Option<&'a str>,
    /// It was one of all flags of the set, which says little about whether anybody looks at it.
    pub(crate) in_bulk: bool,
}

/// By what a use is kept beside those of secrets: of this flag, by this variant, in this way.
fn use_id(flag: ObjectId, variant: Option<&str>, in_bulk: bool) -> Option<ObjectId> {
    let bytes = Canon::new("strongroom flag use")
        .bytes(flag.as_slice())
        .maybe_bytes(variant.map(str::as_bytes))
        .byte(in_bulk.into())
        .done();
    ObjectId::from_slice(Sha256::digest(bytes).get(..16)?)
}

/// When a variant was given last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantUse {
    /// None: the caller's own default.
    pub variant: Option<String>,
    pub last_evaluated_at: Option<Time>,
    pub last_in_bulk_at: Option<Time>,
}

/// Why a flag may be stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staleness {
    /// Its own expiry has passed.
    Expired,
    /// It is older than its kind is expected to become.
    Outlived,
    /// Nobody has evaluated it for so long.
    Unevaluated,
    /// It has given the same variant for so long.
    OneVariant,
}

#[derive(Debug, Clone)]
pub struct StaleFlag {
    pub path: String,
    pub flag: Flag,
    pub why: Vec<Staleness>,
    pub variants: Vec<VariantUse>,
}

#[derive(Debug, Clone)]
pub struct StaleFlags {
    pub items: Vec<StaleFlag>,
    pub next: Option<String>,
}

fn newest(uses: &VariantUse) -> Option<Time> {
    uses.last_evaluated_at.max(uses.last_in_bulk_at)
}

fn staleness(flag: &Flag, variants: &[VariantUse], since: Time, now: Time) -> Vec<Staleness> {
    let about = &flag.about;
    if about.permanent {
        return Vec::new();
    }
    let outlived = about.kind.lifetime().is_some_and(|life| flag.created_at + life <= now);
    let recent = variants.iter().filter(|variant| newest(variant) > Some(since)).count();
    // What was written a moment ago has had no time.
    let settled = flag.updated_at <= since;
    [
        (Staleness::Expired, about.expires_at.is_some_and(|at| at <= now)),
        (Staleness::Outlived, outlived),
        (Staleness::Unevaluated, settled && recent == 0),
        (Staleness::OneVariant, settled && recent == 1 && variants.len() > 2),
    ]
    .into_iter()
    .filter_map(|(why, holds)| holds.then_some(why))
    .collect()
}

impl Broker {
    pub(crate) fn note_evaluation(&self, compiled: &Compiled, key: &str, evaluation: &Evaluation, in_bulk: bool) {
        let Ok(evaluated) = &evaluation.outcome else { return };
        let (variant, now) = (evaluated.variant.as_deref(), self.0.clock.now());
        let used = Used { key, variant, in_bulk };
        if let Some(flag) = compiled.tally.first(&used, &compiled.ids, now)
            && let Some(id) = use_id(flag, variant, in_bulk)
        {
            self.0.uses.note((self.namespace(), id), now);
        }
    }

    /// Flags that the caller may see and that may be stale, by name, after a cursor of an earlier page.
    pub async fn stale_flags(&self, request: &Request, days: u16, after: &str, limit: u16) -> Result<StaleFlags> {
        self.serve(request, Action::ReportRead, "stale-flags", |attempt| async move {
            attempt.authorise(Access::Reports)?;
            let after = self.open_cursor(after)?;
            Ok(Served::fresh(self.stale_flags_now(&attempt, days, after, limit).await?))
        })
        .await
    }

    async fn stale_flags_now(&self, attempt: &Attempt, days: u16, mut after: String, limit: u16) -> Result<StaleFlags> {
        let (mut items, now, began) = (Vec::new(), attempt.now, Instant::now());
        let since = now - DAY * days.into();
        // A page that takes long to fill is given as far as it came.
        while began.elapsed() < self.0.settings.audit_deadline {
            let page = self.0.store.list(now, self.namespace(), Kind::Flag, "", &after, CHUNK);
            let page = self.ask(page).await?.value;
            let is_last = page.len() < usize::from(CHUNK);
            for record in page {
                if items.len() == usize::from(limit) {
                    let next = Some(self.seal_cursor(&after)?);
                    return Ok(StaleFlags { items, next });
                }
                after.clone_from(&record.name);
                let path = FlagPath::parse(&record.name)?;
                let (folder, whole) = (format!("flag/{}", path.set.start()), format!("flag/{path}"));
                let id = record.id;
                let flag = self.check::<Flag>(record)?.body;
                if !attempt.shows(&folder, &whole) {
                    continue;
                }
                let variants = self.variant_uses(now, id, &flag).await?;
                let why = staleness(&flag, &variants, since, now);
                if !why.is_empty() {
                    items.push(StaleFlag {
                        path: path.to_string(),
                        flag,
                        why,
                        variants,
                    });
                }
            }
            if is_last {
                return Ok(StaleFlags { items, next: None });
            }
        }
        let next = Some(self.seal_cursor(&after)?);
        Ok(StaleFlags { items, next })
    }

    /// Of each variant that the flag has, and of none.
    async fn variant_uses(&self, now: Time, id: ObjectId, flag: &Flag) -> Result<Vec<VariantUse>> {
        let variants = flag.definition.get("variants").and_then(serde_json::Value::as_object);
        let names = variants.into_iter().flatten().map(|(name, _)| Some(name.as_str()));
        let names: Vec<Option<&str>> = names.chain([None]).collect();
        let of = |name: Option<&str>, in_bulk| use_id(id, name, in_bulk);
        let ids: Vec<ObjectId> = names
            .iter()
            .flat_map(|name| [of(*name, false), of(*name, true)])
            .flatten()
            .collect();
        let used: HashMap<ObjectId, Time> = self.last_used(now, &ids).await?;
        let at = |name, in_bulk| of(name, in_bulk).and_then(|id| used.get(&id).copied());
        Ok(names
            .into_iter()
            .map(|name| VariantUse {
                variant: name.map(str::to_owned),
                last_evaluated_at: at(name, false),
                last_in_bulk_at: at(name, true),
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use strongroom_domain::PrincipalId;
    use strongroom_domain::flag::{FlagAbout, FlagKind};

    use super::*;

    const NOW: Time = Time(1_800_000_000_000_000);

    fn days_ago(days: u32) -> Time {
        NOW - DAY * days
    }

    fn flag(about: FlagAbout, age: u32) -> Flag {
        Flag {
            definition: json!({ "state": "ENABLED", "variants": { "on": true, "off": false } }),
            bucketing: 2,
            about,
            version: 1,
            by: PrincipalId([1; 16]),
            created_at: days_ago(age),
            updated_at: days_ago(age),
        }
    }

    fn uses(on: Option<u32>, off: Option<u32>) -> Vec<VariantUse> {
        let of = |variant: &str, days: Option<u32>| VariantUse {
            variant: Some(variant.to_owned()),
            last_evaluated_at: None,
            last_in_bulk_at: days.map(days_ago),
        };
        let none = VariantUse {
            variant: None,
            last_evaluated_at: None,
            last_in_bulk_at: None,
        };
        vec![of("on", on), of("off", off), none]
    }

    fn why(about: FlagAbout, age: u32, variants: &[VariantUse]) -> Vec<Staleness> {
        staleness(&flag(about, age), variants, days_ago(30), NOW)
    }

    #[test]
    fn a_flag_is_stale_for_a_reason() {
        let both = uses(Some(1), Some(2));
        assert_eq!(why(FlagAbout::default(), 39, &both), []);
        assert_eq!(why(FlagAbout::default(), 41, &both), [Staleness::Outlived]);
        let kill = FlagAbout {
            kind: FlagKind::KillSwitch,
            ..FlagAbout::default()
        };
        assert_eq!(why(kill.clone(), 1000, &both), []);
        assert_eq!(why(kill.clone(), 1000, &uses(Some(31), None)), [Staleness::Unevaluated]);
        assert_eq!(
            why(kill.clone(), 1000, &uses(Some(1), Some(31))),
            [Staleness::OneVariant]
        );
        assert_eq!(why(kill, 29, &uses(None, None)), [], "it has had no time");
        let expired = FlagAbout {
            expires_at: Some(days_ago(1)),
            ..FlagAbout::default()
        };
        assert_eq!(why(expired.clone(), 2, &both), [Staleness::Expired]);
        let permanent = FlagAbout {
            permanent: true,
            ..expired
        };
        assert_eq!(why(permanent, 1000, &uses(None, None)), []);
    }
}
