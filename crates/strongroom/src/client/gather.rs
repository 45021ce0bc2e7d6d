//! Which secrets `run` and `export` take, and the variables that they make.

use std::fmt;

use strongroom_api::batch::{BatchRead, Failed, Item, MAX_ITEMS};
use strongroom_api::list::ListQuery;
use strongroom_api::secrets::Secret;
use strongroom_domain::{Code, Payload, PayloadKind, Prefix, SecretPath};
use zeroize::Zeroizing;

use super::environment::{Environment, Refused, variable_name};
use super::failure::Failure;
use super::output::warn;
use super::session::Session;
use super::{field, list};

// No doc comment: clap would show it as the verb's own description.
#[derive(Debug, clap::Args)]
#[group(id = "Wanted", required = true, multiple = true)]
pub(super) struct Wanted {
    /// A folder whose secrets are taken, without its subfolders; may be repeated, later ones win
    #[arg(long = "prefix", value_name = "PREFIX")]
    prefixes: Vec<String>,
    /// One secret or one field of it, as a variable of this name or of its own; may be repeated, wins over folders
    #[arg(long = "secret", value_name = "[NAME=]PATH[#KEY]")]
    secrets: Vec<String>,
}

/// The same, known to be well formed.
pub(super) struct Asked {
    folders: Vec<Prefix>,
    singles: Vec<Single>,
}

struct Single {
    name: Option<String>,
    path: SecretPath,
    key: Option<String>,
}

impl Wanted {
    pub(super) fn parse(&self) -> Result<Asked, Failure> {
        let folders = self.prefixes.iter().map(|text| Prefix::parse(text));
        let singles = self.secrets.iter().map(|text| Single::parse(text));
        Ok(Asked {
            folders: folders.collect::<Result<_, _>>()?,
            singles: singles.collect::<Result<_, _>>()?,
        })
    }

    /// Whether a folder is listed before it is read.
    pub(super) fn has_folders(&self) -> bool {
        !self.prefixes.is_empty()
    }
}

impl Asked {
    pub(super) async fn gather(&self, session: &Session) -> Result<Environment, Failure> {
        let mut environment = Environment::default();
        for folder in &self.folders {
            let secrets = read_folder(session, folder).await?;
            if secrets.is_empty() {
                // Most likely a misspelt folder or a missing policy: better seen now than by the program.
                return Err(Failure::usage(format!(
                    "There is no secret that you may see in '{}'.",
                    folder.as_str()
                )));
            }
            environment.overlay(Environment::of_folder(secrets)?);
        }
        environment.overlay(self.read_singles(session).await?);
        for path in &environment.skipped {
            warn(&format!("{path} is binary and becomes no variable."));
        }
        Ok(environment)
    }

    async fn read_singles(&self, session: &Session) -> Result<Environment, Failure> {
        let mut environment = Environment::default();
        let paths: Vec<String> = self.singles.iter().map(|single| single.path.to_string()).collect();
        let read = read_all(session, &paths).await?;
        for (single, secret) in self.singles.iter().zip(read) {
            single.add_to(&mut environment, &secret?.payload.try_into()?)?;
        }
        Ok(environment)
    }
}

impl Single {
    fn parse(text: &str) -> Result<Self, Failure> {
        // A path may hold a '=' too; what stands before it is a name only where it can be a variable's.
        let is_name = |name: &str| !name.is_empty() && variable_name(name) == name;
        let named = text.split_once('=').filter(|(name, _)| is_name(name));
        let (name, place) = named.map_or((None, text), |(name, place)| (Some(name.to_owned()), place));
        let (path, key) = field::split(place);
        Ok(Self {
            name,
            path: SecretPath::parse(path)?,
            key: key.map(str::to_owned),
        })
    }

    fn add_to(&self, environment: &mut Environment, payload: &Payload) -> Result<(), Failure> {
        let path = &self.path;
        if payload.kind == PayloadKind::Bytes {
            return Err(Failure::usage(format!("{path} is binary, which no variable can be.")));
        }
        let text = std::str::from_utf8(&payload.bytes).map_err(|_| Refused::Broken(path.to_string()))?;
        let value = match (&self.key, &self.name) {
            (None, None) => return Ok(environment.add_secret(path, payload)?),
            (None, Some(_)) => Zeroizing::new(text.to_owned()),
            (Some(key), _) => {
                let object = (payload.kind == PayloadKind::Json).then_some(text);
                field::text(field::pick(object, path.as_str(), key)?)
            }
        };
        let own_name = || format!("{}_{}", path.name(), self.key.as_deref().unwrap_or_default());
        let name = self.name.clone().unwrap_or_else(own_name);
        Ok(environment.add(&name, value, self.to_string())?)
    }
}

impl fmt::Display for Single {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{}#{key}", self.path),
            None => write!(f, "{}", self.path),
        }
    }
}

async fn read_folder(session: &Session, folder: &Prefix) -> Result<Vec<(SecretPath, Payload)>, Failure> {
    let listing = list::all(session, folder, ListQuery::default()).await?;
    let secrets = listing.items.into_iter().filter(|item| !item.folder);
    let paths: Vec<String> = secrets.map(|item| item.path).collect();
    let mut found = Vec::with_capacity(paths.len());
    for read in read_all(session, &paths).await? {
        match read {
            Ok(secret) => found.push((SecretPath::parse(&secret.fields.path)?, secret.payload.try_into()?)),
            Err(Failed { path, error }) if is_gone(&error.code) => warn(&format!("{path}: {error}")),
            Err(failed) => return Err(failed.into()),
        }
    }
    Ok(found)
}

/// The current versions, in the order of the paths.
async fn read_all(session: &Session, paths: &[String]) -> Result<Vec<Result<Secret, Failed>>, Failure> {
    let mut found = Vec::with_capacity(paths.len());
    for chunk in paths.chunks(MAX_ITEMS) {
        let reads = chunk.iter().map(|path| BatchRead {
            path: path.clone(),
            ..BatchRead::default()
        });
        let answer = session.client.batch_read(reads.collect()).await?;
        found.extend(answer.items.into_iter().map(Item::into_result));
    }
    Ok(found)
}

/// Deleted on purpose, or without a value yet. A secret that may not be read is another matter: that one is missing.
fn is_gone(code: &str) -> bool {
    [Code::NotFound, Code::Deleted, Code::Destroyed, Code::PendingDeletion]
        .iter()
        .any(|gone| gone.name() == code)
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::usage(refused.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(single: &str, payload: &Payload) -> Result<(String, String), Failure> {
        let mut environment = Environment::default();
        Single::parse(single)?.add_to(&mut environment, payload)?;
        let (name, value) = environment.iter().next().unwrap();
        Ok((name.to_owned(), value.to_owned()))
    }

    #[test]
    fn one_secret_or_field_is_one_variable() {
        let object = || Payload::json(r#"{"pass-word":"p","port":5432}"#.into()).unwrap();
        let text = || Payload::text("t".into());
        for (single, payload, wanted) in [
            ("a/api-key", text(), ("API_KEY", "t")),
            ("KEY=a/api-key", text(), ("KEY", "t")),
            ("a/db#port", object(), ("db_port", "5432")),
            ("a/db#pass-word", object(), ("DB_PASS_WORD", "p")),
            ("P=a/db#pass-word", object(), ("P", "p")),
            ("ALL=a/db", object(), ("ALL", r#"{"pass-word":"p","port":5432}"#)),
            ("a-b=c", text(), ("A_B_C", "t")),
            ("=c", text(), ("_C", "t")),
        ] {
            let (name, value) = variable(single, &payload).unwrap();
            assert_eq!((name.as_str(), value.as_str()), wanted, "{single}");
        }
        assert!(variable("a/db#none", &object()).is_err());
        assert!(variable("a/db#key", &text()).is_err());
        assert!(variable("N=a/bin", &Payload::binary(vec![0])).is_err());
        assert!(variable("N=../a", &text()).is_err());
    }
}
