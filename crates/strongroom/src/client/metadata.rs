//! `strongroom metadata`

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::Value;
use strongroom_api::metadata::{Describe, Described, Patch};
use strongroom_domain::SecretPath;
use strongroom_domain::metadata::{Metadata, SecretType};

use super::failure::Failure;
use super::output::{or_dash, table};
use super::session::Session;

const TAG: &str = "tags.";

/// Show or change what is said about a secret, and how many versions it keeps for how long
///
/// Metadata are not secret, and everybody who may list the secret sees them: never put a value there.
#[derive(Debug, clap::Args)]
pub struct Describing {
    /// The secret's path
    path: String,
    /// `description`, `owner`, `type`, `tags.NAME`, `max_versions`, `cas_required` (true or false) or `delete_after`
    /// (seconds), each with `=VALUE`; may be repeated
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// Empty a field (`tags`: all of them); may be repeated
    #[arg(long, value_name = "FIELD", conflicts_with = "replace")]
    unset: Vec<String>,
    /// Empty every field that is not set; makes the secret, without a version, if it is not there
    #[arg(long)]
    replace: bool,
}

impl Describing {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        let path = SecretPath::parse(&self.path)?;
        let patch = self.patch()?;
        let described = if self.replace {
            client.describe(&path, &whole(patch)).await?
        } else if patch == Patch::default() {
            client.metadata(&path).await?
        } else {
            client.patch_metadata(&path, &patch).await?
        };
        output.show(&described, || fields(&described))
    }

    fn patch(&self) -> Result<Patch, Failure> {
        let mut patch = Patch::default();
        for text in &self.set {
            let (field, value) = text
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("'--set {text}' is not FIELD=VALUE.")))?;
            change(&mut patch, field, Some(value))?;
        }
        for field in &self.unset {
            change(&mut patch, field, None)?;
        }
        Ok(patch)
    }
}

/// `None` empties the field.
fn change(patch: &mut Patch, field: &str, value: Option<&str>) -> Result<(), Failure> {
    let text = value.map(str::to_owned);
    let fresh = match (field, field.strip_prefix(TAG)) {
        ("description", _) => patch.description.replace(text).is_none(),
        ("owner", _) => patch.owner.replace(text).is_none(),
        ("type", _) => patch.secret_type.replace(value.map(secret_type).transpose()?).is_none(),
        ("max_versions", _) => patch
            .max_versions
            .replace(value.map(|text| parsed(field, text)).transpose()?)
            .is_none(),
        ("cas_required", _) => patch
            .cas_required
            .replace(value.map(|text| parsed(field, text)).transpose()?)
            .is_none(),
        ("delete_after", _) => patch
            .delete_after
            .replace(value.map(|text| parsed(field, text)).transpose()?)
            .is_none(),
        ("tags", _) if value.is_none() => patch.tags.replace(None).is_none(),
        (_, Some(tag)) if !tag.is_empty() => match patch.tags.get_or_insert_with(|| Some(BTreeMap::new())) {
            Some(tags) => tags.insert(tag.to_owned(), text).is_none(),
            None => false,
        },
        _ => {
            return Err(Failure::usage(format!("'{field}' is no field of the metadata."))
                .help("There are description, owner, type, tags.NAME, max_versions, cas_required and delete_after."));
        }
    };
    if fresh {
        Ok(())
    } else {
        Err(Failure::usage(format!("'{field}' is changed twice.")))
    }
}

fn parsed<T: FromStr>(field: &str, text: &str) -> Result<T, Failure> {
    text.parse()
        .map_err(|_| Failure::usage(format!("'{text}' is no value of '{field}'.")))
}

pub(super) fn secret_type(name: &str) -> Result<SecretType, Failure> {
    serde_json::from_value(Value::from(name)).map_err(|_| {
        Failure::usage(format!("'{name}' is no type of secret.")).help(
            "There are generic, password, database, redis, api-key, signing-key, certificate, aws-credentials, webhook, \
             file and config.",
        )
    })
}

fn whole(patch: Patch) -> Describe {
    let mut metadata = Metadata::default();
    patch.apply(&mut metadata);
    Describe {
        description: metadata.description,
        secret_type: metadata.secret_type,
        owner: metadata.owner,
        tags: metadata.tags,
        max_versions: metadata.max_versions,
        cas_required: metadata.cas_required,
        delete_after: metadata.delete_after,
    }
}

fn fields(described: &Described) -> String {
    let kind = serde_json::to_value(described.secret_type).unwrap_or_default();
    let own = [
        ("path", described.path.clone()),
        ("description", or_dash(described.description.as_ref())),
        ("type", kind.as_str().unwrap_or_default().to_owned()),
        ("owner", or_dash(described.owner.as_ref())),
        ("version", described.current_version.to_string()),
        ("max_versions", or_dash(described.max_versions)),
        ("cas_required", described.cas_required.to_string()),
        ("delete_after", or_dash(described.delete_after)),
        ("pending_until", or_dash(described.pending_until)),
        ("last_used", or_dash(described.last_used_at)),
        ("due", or_dash(described.due_at)),
        ("created", described.created_at.to_string()),
        ("updated", described.updated_at.to_string()),
    ];
    let own = own.map(|(name, value)| [name.to_owned(), value]);
    let tags = described
        .tags
        .iter()
        .map(|(name, value)| [format!("{TAG}{name}"), value.clone()]);
    table(["FIELD", "VALUE"], own.into_iter().chain(tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(set: &[&str], unset: &[&str]) -> Result<String, Failure> {
        let describing = Describing {
            path: "a".into(),
            set: set.iter().map(|text| (*text).to_owned()).collect(),
            unset: unset.iter().map(|text| (*text).to_owned()).collect(),
            replace: false,
        };
        Ok(serde_json::to_string(&describing.patch()?).unwrap())
    }

    #[test]
    fn a_patch_holds_what_was_said() {
        let set = ["owner=a=b", "type=api-key", "tags.x.y=1", "description="];
        assert_eq!(
            patch(&set, &["tags.z"]).unwrap(),
            r#"{"description":"","type":"api-key","owner":"a=b","tags":{"x.y":"1","z":null}}"#
        );
        assert_eq!(patch(&[], &["tags", "owner"]).unwrap(), r#"{"owner":null,"tags":null}"#);
        assert_eq!(
            patch(&["max_versions=3", "cas_required=true"], &["delete_after"]).unwrap(),
            r#"{"max_versions":3,"cas_required":true,"delete_after":null}"#
        );
        assert_eq!(patch(&[], &[]).unwrap(), "{}");
    }

    #[test]
    fn what_is_no_change_is_refused() {
        for set in [
            "max_versions=x",
            "cas_required=1",
            "owner",
            "ower=x",
            "type=secret",
            "tags=x",
            "tags.=x",
            "version=3",
        ] {
            assert!(patch(&[set], &[]).is_err(), "{set}");
        }
        for (set, unset) in [("owner=x", "owner"), ("tags.a=x", "tags"), ("tags.a=x", "tags.a")] {
            assert!(patch(&[set], &[unset]).is_err(), "{set} {unset}");
        }
    }
}
