//! `strongroom client`

use std::fs::{File, OpenOptions, remove_file};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use strongroom_api::clients::{self, CreateClient};
use strongroom_domain::Name;

use super::failure::Failure;
use super::operators::written;
use super::output::table;
use super::session::{Session, all_pages};

#[derive(Debug, clap::Subcommand)]
pub enum Clients {
    /// Create a client; its secret is shown this once
    Create {
        name: String,
        #[arg(long)]
        role: String,
        /// What policies may name it by, as `{{principal.metadata.KEY}}`; may be repeated
        #[arg(long = "metadata", value_name = "KEY=VALUE")]
        metadata: Vec<String>,
        /// Write the secret to this new file (mode 0600) instead of showing it
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// List the clients
    List,
    /// Show a client and the ids of its secrets
    Get { id: String },
    /// Delete a client
    Delete { id: String },
    /// Give a client a second secret, to change to without a gap; it is shown this once
    AddSecret {
        id: String,
        /// Write the secret to this new file (mode 0600) instead of showing it
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// Take a secret from a client
    RemoveSecret { id: String, secret_id: String },
}

impl Clients {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Create {
                name,
                role,
                metadata,
                secret_file,
            } => {
                let body = CreateClient {
                    name: Name::parse(&name)?,
                    role: Name::parse(&role)?,
                    metadata: written(&metadata)?,
                };
                let file = secret_file.map(SecretFile::create).transpose()?;
                let created = client.create_client(&body).await?;
                issue(
                    session,
                    created.client_id,
                    created.secret_id,
                    &created.client_secret,
                    file,
                )
            }
            Self::List => {
                let page = all_pages(async |query| client.clients(&query).await).await?;
                output.show(&page, || rows(&page.items))
            }
            Self::Get { id } => {
                let found = client.client(&id).await?;
                output.show(&found, || rows([&found]))
            }
            Self::Delete { id } => {
                client.delete_client(&id).await?;
                output.done(&format!("The client {id} is deleted."))
            }
            Self::AddSecret { id, secret_file } => {
                let file = secret_file.map(SecretFile::create).transpose()?;
                let added = client.add_client_secret(&id).await?;
                issue(session, added.client_id, added.secret_id, &added.client_secret, file)
            }
            Self::RemoveSecret { id, secret_id } => {
                client.remove_client_secret(&id, &secret_id).await?;
                output.done(&format!("The secret {secret_id} of client {id} is no longer valid."))
            }
        }
    }
}

/// What is shown of a new secret: itself, or the file it went to.
#[derive(Serialize)]
struct Issued<'a> {
    client_id: String,
    secret_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_file: Option<String>,
}

fn issue(
    session: &Session,
    client_id: String,
    secret_id: String,
    secret: &SecretString,
    file: Option<SecretFile>,
) -> Result<(), Failure> {
    let mut issued = Issued {
        client_id,
        secret_id,
        client_secret: None,
        secret_file: None,
    };
    match file {
        Some(file) => issued.secret_file = Some(file.write(secret)?.display().to_string()),
        None => issued.client_secret = Some(secret.expose_secret()),
    }
    session.output.show(&issued, || {
        let lines = [
            ("client id", Some(issued.client_id.as_str())),
            ("secret id", Some(&issued.secret_id)),
            ("client secret", issued.client_secret),
            ("secret file", issued.secret_file.as_deref()),
        ];
        let lines = lines
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| format!("{name:15}{value}\n")));
        lines.collect()
    })
}

/// Made before the secret is: one that was issued and could not be written would be lost. Removed again when unused.
struct SecretFile {
    path: PathBuf,
    file: File,
    written: bool,
}

impl SecretFile {
    fn create(path: PathBuf) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|error| Failure::local(&format!("Cannot create {}", path.display()), &error))?;
        Ok(Self {
            path,
            file,
            written: false,
        })
    }

    fn write(mut self, secret: &SecretString) -> Result<PathBuf, Failure> {
        let written = self
            .file
            .write_all(secret.expose_secret().as_bytes())
            .and_then(|()| self.file.sync_all());
        written.map_err(|error| {
            Failure::local(&format!("Cannot write {}", self.path.display()), &error)
                .help("The secret was issued and is lost: remove it with 'client remove-secret', and add another.")
        })?;
        self.written = true;
        Ok(std::mem::take(&mut self.path))
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        if !self.written && self.path != Path::new("") {
            drop(remove_file(&self.path));
        }
    }
}

fn rows<'a>(clients: impl IntoIterator<Item = &'a clients::Client>) -> String {
    let rows = clients.into_iter().map(|client| {
        let secrets: Vec<&str> = client.secrets.iter().map(|secret| secret.secret_id.as_str()).collect();
        [
            client.client_id.clone(),
            client.name.to_string(),
            client.role.to_string(),
            client.created_at.to_string(),
            client.principal.to_string(),
            secrets.join(" "),
        ]
    });
    table(
        ["CLIENT ID", "NAME", "ROLE", "CREATED", "PRINCIPAL", "SECRET IDS"],
        rows,
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_file_is_private_new_and_gone_when_unused() {
        let path = std::env::temp_dir().join(format!("strongroom-secret-{}", std::process::id()));
        drop(SecretFile::create(path.clone()).unwrap());
        assert!(!path.exists());
        SecretFile::create(path.clone()).unwrap().write(&"s".into()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"s");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(SecretFile::create(path.clone()).is_err());
        remove_file(path).unwrap();
    }
}
