//! Programs of two levels over one schema. A program writes rows as the oldest one that may run reads them; once none
//! of that age is to come back, `migrate finish` says so, and the newest format is written from then on. Both levels
//! stand in the schema, so that every node decides alike.

/// What this program is, and the schema it needs. A program with a new migration is one level above the last.
pub const LEVEL: i64 = if cfg!(feature = "next-schema") { 2 } else { 1 };

/// Every row format that this program reads, with the level of the first program that did. A format is how a record's
/// MAC and a version's digest are taken; rows name theirs. Oldest first.
const FORMATS: &[(i64, i16)] = &[
    (1, 1),
    #[cfg(feature = "next-schema")]
    (LEVEL, NEXT_FORMAT),
];

/// What the tests of an upgrade write: one column more in each row.
#[cfg(feature = "next-schema")]
pub(crate) const NEXT_FORMAT: i16 = 2;

pub fn reads(format: i16) -> bool {
    FORMATS.iter().any(|(_, known)| *known == format)
}

/// What a schema says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// What its migrations made of it.
    pub level: i64,
    /// The oldest program that may run on it.
    pub oldest_program: i64,
}

impl Schema {
    /// One that nobody else uses.
    pub const OWN: Self = Self {
        level: LEVEL,
        oldest_program: LEVEL,
    };

    /// Whether this program may run on it. The text says why not, and what to do.
    pub fn fits(self) -> Result<(), String> {
        if self.level < LEVEL {
            return Err(format!(
                "The schema is older than this program needs: it is of level {}, and this program of level {LEVEL}. Run 'strongroom migrate up'.",
                self.level
            ));
        }
        if self.oldest_program > LEVEL {
            return Err(format!(
                "This program is too old for the database: 'migrate finish' of a newer one has made level {} the oldest that may run, and this is of level {LEVEL}. \
                 Install the newer program. To go back behind 'migrate finish', restore a backup from before it.",
                self.oldest_program
            ));
        }
        Ok(())
    }

    /// The newest format that every program which may run here reads.
    pub fn writes(self) -> i16 {
        let known = FORMATS.iter().rfind(|(since, _)| *since <= self.oldest_program);
        known.map_or(0, |(_, format)| *format)
    }

    /// What 'migrate finish' makes the oldest program, or `None` where there is nothing to finish.
    pub fn finish(self) -> Result<Option<i64>, String> {
        self.fits()?;
        Ok((self.oldest_program < LEVEL).then_some(LEVEL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_run_and_what_is_written() {
        let schema = |level, oldest_program| Schema { level, oldest_program };
        assert_eq!(Schema::OWN.fits(), Ok(()));
        assert_eq!(schema(LEVEL + 5, LEVEL).fits(), Ok(()), "a newer schema takes this one");
        assert!(schema(LEVEL - 1, LEVEL - 1).fits().unwrap_err().contains("migrate up"));
        assert!(
            schema(LEVEL + 1, LEVEL + 1)
                .fits()
                .unwrap_err()
                .contains("Install the newer")
        );

        let newest = FORMATS.last().unwrap().1;
        assert_eq!(Schema::OWN.writes(), newest);
        assert_eq!(schema(LEVEL + 1, LEVEL).writes(), newest);
        assert!(reads(newest) && !reads(newest + 1) && !reads(0));

        assert_eq!(Schema::OWN.finish(), Ok(None));
        assert_eq!(schema(LEVEL, LEVEL - 1).finish(), Ok(Some(LEVEL)));
        assert!(schema(LEVEL - 1, LEVEL - 1).finish().is_err() && schema(LEVEL + 1, LEVEL + 1).finish().is_err());
    }

    #[test]
    fn formats_only_grow() {
        assert!(
            FORMATS
                .windows(2)
                .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1)
        );
        assert_eq!(FORMATS[0], (1, 1), "what shipped first is read for ever");
    }
}
