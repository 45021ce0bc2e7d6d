//! `strongroom put`

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use strongroom_api::With;
use strongroom_api::secrets::WriteOptions;
use strongroom_domain::{Payload, SecretPath};
use zeroize::{Zeroize as _, Zeroizing};

use super::failure::Failure;
use super::input::{self, Bytes};
use super::prompt;
use super::session::Session;

/// Write a secret's value as its next version
///
/// The value comes from a prompt, from stdin or from files, byte for byte; never from the command line, which other
/// users of the machine and the shell's history see.
#[derive(Debug, clap::Args)]
pub struct Put {
    /// Its path
    path: String,
    /// `-` (stdin), `@FILE`, or any number of `KEY=@FILE` and one `KEY=-` for a JSON object of strings; none: a prompt
    sources: Vec<Argument>,
    /// Write only if this is the current version (0: none)
    #[arg(long, value_name = "N")]
    cas: Option<i64>,
    /// The version's id, 32 to 64 characters: repeating the write with it changes nothing
    #[arg(long)]
    id: Option<String>,
    /// Put this label on the version instead of `current`; several: each of them
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// The source is a JSON object, to be kept as it is
    #[arg(long, conflicts_with = "binary")]
    json: bool,
    /// Store bytes even if they are UTF-8 text
    #[arg(long)]
    binary: bool,
}

/// Kept out of Debug: it may turn out to be a value, which is then refused.
#[derive(Clone)]
struct Argument(Zeroizing<String>);

impl FromStr for Argument {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl Put {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let path = SecretPath::parse(&self.path)?;
        let payload = self.payload(session.client.sends())?;
        let options = WriteOptions {
            cas: self.cas,
            id: self.id,
            labels: Some(self.labels).filter(|labels| !labels.is_empty()),
        };
        let labelled = options.labels.as_ref().map(|labels| labels.join(", "));
        let written = session.client.write(&path, &With::new(payload, options)?).await?;
        session.output.show(&written, || match labelled {
            None => format!("{} is at version {} now.", written.path, written.version),
            Some(labels) => format!("Version {} of {} is under {labels}.", written.version, written.path),
        })
    }

    /// `ask`: whether a prompt makes sense; a request that is only shown does not need the value.
    fn payload(&self, ask: bool) -> Result<Payload, Failure> {
        let sources: Vec<Source<'_>> = self
            .sources
            .iter()
            .map(|argument| Source::parse(&argument.0))
            .collect::<Result<_, _>>()?;
        match sources.as_slice() {
            [] if !ask => Ok(Payload::text(String::new())),
            [] => of_bytes(
                prompt::value(
                    &format!("Value of {} (not shown): ", self.path),
                    "Write '-' to read stdin.",
                )?,
                self.json,
                self.binary,
            ),
            [Source { key: None, from }] => of_bytes(from.read()?, self.json, self.binary),
            _ if self.json || self.binary => {
                Err(Failure::usage("--json and --binary go with one source, without a key."))
            }
            sources => of_fields(sources),
        }
    }
}

struct Source<'a> {
    key: Option<&'a str>,
    from: From<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum From<'a> {
    Stdin,
    File(&'a Path),
}

impl<'a> Source<'a> {
    fn parse(text: &'a str) -> Result<Self, Failure> {
        let whole = From::parse(text).map(|from| Self { key: None, from });
        let keyed = || {
            let (key, from) = text.split_once('=').filter(|(key, _)| !key.is_empty())?;
            Some(Self {
                key: Some(key),
                from: From::parse(from)?,
            })
        };
        whole.or_else(keyed).ok_or_else(|| {
            Failure::usage("A value on the command line is refused: other users and the shell's history see it.")
                .help("Leave it out for a prompt, or use '-' (stdin), '@FILE', 'KEY=@FILE' or 'KEY=-'.")
        })
    }
}

impl<'a> From<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        match (text, text.strip_prefix('@')) {
            ("-", _) => Some(Self::Stdin),
            (_, Some(file)) if !file.is_empty() => Some(Self::File(Path::new(file))),
            _ => None,
        }
    }

    fn read(self) -> Result<Bytes, Failure> {
        match self {
            Self::Stdin => input::stdin(),
            Self::File(path) => input::file(path),
        }
    }
}

/// What is not UTF-8 text is bytes, whether said or not.
fn of_bytes(mut bytes: Bytes, json: bool, binary: bool) -> Result<Payload, Failure> {
    let bytes = std::mem::take(&mut *bytes);
    if binary {
        return Ok(Payload::binary(bytes));
    }
    match String::from_utf8(bytes) {
        Ok(text) if json => Payload::json(text)
            .map_err(|error| Failure::usage(error.detail.replace("'data'", "With --json the source"))),
        Ok(text) => Ok(Payload::text(text)),
        Err(error) if json => {
            error.into_bytes().zeroize();
            Err(Failure::usage("The source is not UTF-8 text, so it is no JSON object."))
        }
        Err(error) => Ok(Payload::binary(error.into_bytes())),
    }
}

fn of_fields(sources: &[Source<'_>]) -> Result<Payload, Failure> {
    if sources.iter().filter(|source| source.from == From::Stdin).count() > 1 {
        return Err(Failure::usage("Only one source can be stdin."));
    }
    let mut fields: BTreeMap<&str, Zeroizing<String>> = BTreeMap::new();
    for source in sources {
        let key = source
            .key
            .ok_or_else(|| Failure::usage("Several sources make a JSON object, so each needs a KEY=."))?;
        let text = String::from_utf8(std::mem::take(&mut *source.from.read()?)).map_err(|error| {
            error.into_bytes().zeroize();
            Failure::usage(format!(
                "The source of '{key}' is not UTF-8 text, which a JSON object cannot hold."
            ))
        })?;
        if fields.insert(key, Zeroizing::new(text)).is_some() {
            return Err(Failure::usage(format!("'{key}' has two sources.")));
        }
    }
    let shown: BTreeMap<&str, &str> = fields.iter().map(|(key, text)| (*key, text.as_str())).collect();
    let json = serde_json::to_string(&shown).map_err(|_| Failure::usage("The fields make no JSON object."))?;
    Ok(Payload::json(json)?)
}

#[cfg(test)]
mod tests {
    use strongroom_domain::PayloadKind;

    use super::*;

    fn put(sources: &[&str]) -> Put {
        let sources = sources
            .iter()
            .map(|text| Argument(Zeroizing::new((*text).to_owned())))
            .collect();
        Put {
            path: "a".into(),
            sources,
            cas: None,
            id: None,
            labels: Vec::new(),
            json: false,
            binary: false,
        }
    }

    #[test]
    fn a_value_in_argv_is_refused_and_not_repeated() {
        for sources in [
            &["hunter2"][..],
            &["KEY=hunter2"],
            &["=@hunter2"],
            &["@"],
            &["--hunter2"],
        ] {
            let put = put(sources);
            let failure = put.payload(true).unwrap_err();
            assert!(!format!("{put:?} {failure:?}").contains("hunter2"));
        }
    }

    #[test]
    fn kinds() {
        let of = |bytes: &[u8], json, binary| {
            of_bytes(Zeroizing::new(bytes.to_vec()), json, binary).map(|payload| payload.kind)
        };
        assert_eq!(of(b"a\n", false, false).unwrap(), PayloadKind::Text);
        assert_eq!(of(b"\xff", false, false).unwrap(), PayloadKind::Bytes);
        assert_eq!(of(b"a", false, true).unwrap(), PayloadKind::Bytes);
        assert_eq!(of(b"{}", true, false).unwrap(), PayloadKind::Json);
        assert!(of(b"[]", true, false).is_err() && of(b"\xff", true, false).is_err());
    }

    #[test]
    fn files_make_an_object() {
        let folder = std::env::temp_dir().join(format!("strongroom-put-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("f=1");
        std::fs::write(&file, "x\"\n").unwrap();
        let source = format!("b=@{}", file.display());
        let payload = put(&[&source, &source.replacen('b', "a", 1)]).payload(true).unwrap();
        assert_eq!(&**payload.bytes, br#"{"a":"x\"\n","b":"x\"\n"}"#);
        let whole = put(&[&format!("@{}", file.display())]).payload(true).unwrap();
        assert_eq!((whole.kind, &**whole.bytes), (PayloadKind::Text, &b"x\"\n"[..]));
        assert!(put(&[&source, &source]).payload(true).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
