//! Every code that an answer can carry.

use std::fmt::Write as _;

use strongroom_domain::Code;
use strongroom_http::status;

use super::{begin, code, head, row};

const INTRODUCTION: &str = "\
A refusal of the native API is `application/problem+json` (RFC 9457). It has `code`, `title` (the cause, in a few
words), `detail` (what is wrong here), `help` (what to do), `status`, `request_id`, and `type`, which is
`urn:strongroom:error:` and the code. Codes are stable: a program may decide by them. Numbers stand in stored audit
entries. Neither is used twice.

A refusal with 503 has the header `Retry-After`. What the HTTP library refuses before there is a request (a malformed
request line, headers that are too long) has an empty body and status 400, 414 or 431. A head that does not arrive in
time ends the connection.

Codes without a status are the command line's alone: `strongroom operator restore` and `operator backup verify` end
with them, and no route answers so.

";

/// What only `strongroom operator` says, of a backup's file and of the store that it goes into.
const COMMAND_LINE: &[Code] = &[Code::BackupDamaged, Code::BackupNotOpened, Code::StoreNotEmpty];

pub(super) fn page() -> String {
    let mut codes = Code::ALL.to_vec();
    codes.sort_by_key(|code| {
        let status = answered(*code);
        (status.is_none(), status, code.number())
    });
    let mut text = begin("Errors", "the table of codes in `crates/domain/src/error.rs`");
    text.push_str(INTRODUCTION);
    head(&mut text, &["status", "code", "cause"]);
    for one in &codes {
        let link = format!("[`{0}`](#{0})", one.name());
        let status = answered(*one).map_or("none".to_owned(), |status| status.to_string());
        row(&mut text, &[&status, &link, one.title()]);
    }
    for one in &codes {
        let (name, number) = (one.name(), one.number());
        let place = answered(*one).map_or("The command line alone".to_owned(), |status| format!("Status {status}"));
        let _ = write!(
            text,
            "\n## {name}\n\n{place}, number {number}.\n\n- **Cause**: {}.\n- **What to do**: {}\n",
            one.title(),
            literal(one.help())
        );
    }
    text
}

/// The status of an answer with this code, where there is one.
fn answered(code: Code) -> Option<u16> {
    (!COMMAND_LINE.contains(&code)).then(|| status(code).as_u16())
}

/// A help text, with what it says to send marked as such.
fn literal(help: &str) -> String {
    match help.split_once(" with {") {
        Some((request, rest)) => match rest.split_once("} ") {
            Some((body, end)) => format!("{} with {} {end}", code(request), code(&format!("{{{body}}}"))),
            None => help.to_owned(),
        },
        None => help.to_owned(),
    }
}
