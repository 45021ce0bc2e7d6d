//! Every action that an entry of the audit log can name.

use strongroom_domain::audit::Action;

use super::{begin, code, head, row};

const INTRODUCTION: &str = "\
Every entry of the audit log names one action: `strongroom audit --action NAME` and `GET /api/v1/audit?action=NAME` find
it. The word before the dot is what it is about, the word behind it what was asked for. Names are stable: a program may
decide by them. Numbers stand in stored entries. Neither is used twice. What else an entry holds stands in the
[guide](GUIDE.md#who-did-what).

";

const SHOWS: &str = "\
## Actions that show something

Their entries are kept for 90 days; those of denials for 400.

";

const CHANGES: &str = "
## All others

Changes, logins, and work on the installation. Their entries are kept for 400 days.

";

pub(super) fn page() -> String {
    let mut text = begin("Actions", "the table of actions in `crates/domain/src/audit/entry.rs`");
    text.push_str(INTRODUCTION);
    for (heading, read) in [(SHOWS, true), (CHANGES, false)] {
        text.push_str(heading);
        head(&mut text, &["action", "number"]);
        for one in Action::ALL.iter().filter(|action| action.is_read() == read) {
            row(&mut text, &[&code(one.name()), &one.number().to_string()]);
        }
    }
    text
}
