//! Configuration: defaults, then the file, then the environment, then flags. Checked as a whole: all mistakes at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use strongroom_broker::Settings;
use strongroom_crypto::{Issuer, RootKey};
use strongroom_http::Limits;

use crate::files;

#[derive(Debug)]
/// One setting: its name in the file (`STRONGROOM_` and upper case, dots as `_`, in the environment), its default, and
/// what it is. A secret one can be given as `NAME_file` too.
pub struct Setting {
    pub name: &'static str,
    pub default: Option<&'static str>,
    pub secret: bool,
    pub help: &'static str,
}

impl Setting {
    /// What it is called in the environment.
    pub fn variable(&self) -> String {
        format!("STRONGROOM_{}", self.name.replace('.', "_").to_uppercase())
    }
}

const fn setting(name: &'static str, default: Option<&'static str>, help: &'static str) -> Setting {
    Setting {
        name,
        default,
        secret: false,
        help,
    }
}

const fn secret(name: &'static str, help: &'static str) -> Setting {
    Setting {
        name,
        default: None,
        secret: true,
        help,
    }
}

pub const SETTINGS: &[Setting] = &[
    setting("listen", Some("127.0.0.1:8200"), "Address of the API."),
    setting(
        "insecure_listen",
        Some("false"),
        "Serve plain HTTP beyond loopback; TLS is then somebody else's.",
    ),
    setting(
        "metrics_listen",
        None,
        "Address of a listener for metrics and health alone; without it they are on 'listen'.",
    ),
    setting("data_dir", None, "Directory of the embedded store."),
    secret(
        "database_url",
        "postgres://USER:PASSWORD@HOST:PORT/DATABASE; PostgreSQL instead of the embedded store.",
    ),
    secret("root_key", "64 hexadecimal digits that open the key ring."),
    setting(
        "node",
        Some("strongroom"),
        "What this node is called. Recorded at each start; the search of the log does not show it yet.",
    ),
    setting(
        "issuer",
        None,
        "The 'iss' of access tokens and base of the discovery document; default http://LISTEN.",
    ),
    setting("audience", Some("strongroom"), "The 'aud' of access tokens."),
    setting("log", Some("info"), "Log level, or a tracing filter."),
    setting(
        "audit.deadline_ms",
        Some("1000"),
        "How long an answer may wait for its audit entry: 50 to 10,000 milliseconds.",
    ),
    setting(
        "audit.queue",
        Some("8192"),
        "Requests that may wait for an audit batch, each lane: 16 to 1,000,000.",
    ),
    setting(
        "cache.secret_bytes",
        Some("67108864"),
        "Bound of the cache of sealed secrets, in bytes.",
    ),
    setting(
        "cache.sessions",
        Some("65536"),
        "Bound of the cache of verified tokens, in tokens.",
    ),
    setting(
        "cache.poll_ms",
        Some("1000"),
        "How often to ask for other nodes' changes, in milliseconds; 0: never. Caches are right without.",
    ),
    setting(
        "limits.payload_bytes",
        Some("65536"),
        "The largest value taken: up to 1048576 bytes.",
    ),
    setting(
        "limits.versions",
        Some("10"),
        "Versions kept of a secret whose metadata do not say how many: 1 to 1000.",
    ),
    setting("limits.connections", Some("10000"), "Open connections."),
    setting(
        "limits.header_seconds",
        Some("10"),
        "Time for a request's head to arrive: 1 to 60.",
    ),
    setting("limits.request_seconds", Some("10"), "Time for a request: 1 to 60."),
    setting(
        "limits.drain_seconds",
        Some("20"),
        "Time for open requests to finish at a stop: 0 to 600.",
    ),
];

/// Where the rows are.
#[derive(Debug, Clone)]
pub enum StoreChoice {
    Sqlite(PathBuf),
    Postgres(SecretString),
}

#[derive(Debug)]
pub struct Config {
    pub listen: SocketAddr,
    pub metrics_listen: Option<SocketAddr>,
    pub store: StoreChoice,
    pub root_key: Option<RootKeySource>,
    pub settings: Settings,
    pub limits: Limits,
    pub request_deadline: Duration,
    pub log: String,
}

/// The root key itself, or the file it is in.
#[derive(Debug, Clone)]
pub enum RootKeySource {
    Value(SecretString),
    File(PathBuf),
}

impl RootKeySource {
    /// The error says what to do, and nothing of the key.
    pub fn read(&self) -> Result<RootKey, String> {
        let malformed = |_| "The root key is not 64 hexadecimal digits.".to_owned();
        match self {
            Self::Value(value) => RootKey::parse(value.expose_secret()).map_err(malformed),
            Self::File(path) => {
                let text = files::read_secret(path)
                    .map_err(|error| format!("The root key file {} cannot be read: {error}.", path.display()))?;
                RootKey::parse(&text).map_err(malformed)
            }
        }
    }
}

/// Values by setting's name; `NAME_file` for secrets in files.
#[derive(Debug, Default)]
pub struct Sources(BTreeMap<String, SecretString>);

impl Sources {
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Forgets a setting, and its file.
    pub fn unset(&mut self, name: &str) {
        self.0.remove(name);
        self.0.remove(&format!("{name}_file"));
    }

    /// From the file's text. Tables become dotted names.
    pub fn read_file(&mut self, text: &str, mistakes: &mut Vec<String>) {
        match text.parse::<toml::Table>() {
            Ok(table) => self.read_table("", table, mistakes),
            Err(error) => mistakes.push(format!("The configuration file is not TOML: {}.", error.message())),
        }
    }

    fn read_table(&mut self, prefix: &str, table: toml::Table, mistakes: &mut Vec<String>) {
        for (key, value) in table {
            let name = format!("{prefix}{key}");
            match value {
                toml::Value::Table(table) => self.read_table(&format!("{name}."), table, mistakes),
                toml::Value::String(text) => self.known(&name, &text, mistakes),
                other => self.known(&name, &other.to_string(), mistakes),
            }
        }
    }

    /// Sets what is a setting; anything else is a mistake.
    pub fn known(&mut self, name: &str, value: &str, mistakes: &mut Vec<String>) {
        let known = SETTINGS.iter().any(|setting| {
            setting.name == name || (setting.secret && name.strip_suffix("_file") == Some(setting.name))
        });
        if known {
            self.set(name, value);
        } else {
            mistakes.push(format!("'{name}' is not a setting."));
        }
    }

    pub fn read_environment(&mut self, variable: impl Fn(&str) -> Option<String>) {
        for setting in SETTINGS {
            let name = setting.variable();
            if let Some(value) = variable(&name) {
                self.set(setting.name, &value);
                self.0.remove(&format!("{}_file", setting.name));
            }
            if setting.secret
                && let Some(value) = variable(&format!("{name}_FILE"))
            {
                self.set(&format!("{}_file", setting.name), &value);
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(ExposeSecret::expose_secret)
    }
}

/// Reads typed values and collects what is wrong with them.
struct Reader<'a> {
    sources: &'a Sources,
    mistakes: Vec<String>,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let default = SETTINGS
            .iter()
            .find(|setting| setting.name == name)
            .and_then(|setting| setting.default);
        self.sources.get(name).or(default).map(str::to_owned)
    }

    fn parsed<T: FromStr>(&mut self, name: &str, what: &str) -> Option<T> {
        let text = self.text(name)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.mistakes.push(format!("'{name}' is not {what}."));
        }
        parsed
    }

    fn number(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> u64 {
        let number = self.parsed::<u64>(name, "a number").unwrap_or(*range.start());
        if !range.contains(&number) {
            self.mistakes.push(format!(
                "'{name}' is {number}; it must be {} to {}.",
                range.start(),
                range.end()
            ));
        }
        number
    }

    fn millis(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(name, range))
    }

    fn seconds(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.number(name, range))
    }

    fn size(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> usize {
        usize::try_from(self.number(name, range)).unwrap_or(usize::MAX)
    }

    /// A secret's own value, or its file's path.
    fn secret(&mut self, name: &str) -> (Option<SecretString>, Option<PathBuf>) {
        let value = self.sources.get(name).map(SecretString::from);
        let file = self.sources.get(&format!("{name}_file")).map(PathBuf::from);
        if value.is_some() && file.is_some() {
            self.mistakes.push(format!("Give '{name}' or '{name}_file', not both."));
        }
        (value, file)
    }

    fn store(&mut self) -> StoreChoice {
        let (url, url_file) = self.secret("database_url");
        let url = match (url, url_file) {
            (None, Some(path)) => match files::read_secret(&path) {
                Ok(text) => Some(SecretString::from(text.as_str())),
                Err(error) => {
                    self.mistakes.push(format!(
                        "'database_url_file' {} cannot be read: {error}.",
                        path.display()
                    ));
                    None
                }
            },
            (url, _) => url,
        };
        match (url, self.text("data_dir")) {
            (Some(url), _) => StoreChoice::Postgres(url),
            (None, Some(directory)) => StoreChoice::Sqlite(directory.into()),
            (None, None) => {
                self.mistakes
                    .push("Name a store: 'database_url' for PostgreSQL, or 'data_dir' for the embedded one.".into());
                StoreChoice::Sqlite(PathBuf::new())
            }
        }
    }

    fn root_key(&mut self, store: &StoreChoice) -> Option<RootKeySource> {
        let (value, file) = self.secret("root_key");
        if let (StoreChoice::Sqlite(directory), Some(file)) = (store, &file)
            && is_inside(file, directory)
        {
            self.mistakes.push(
                "'root_key_file' lies in 'data_dir': who copies one would have both. Keep the key elsewhere.".into(),
            );
        }
        value.map(RootKeySource::Value).or(file.map(RootKeySource::File))
    }
}

fn is_inside(file: &Path, directory: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    file.parent()
        .is_some_and(|parent| real(parent).starts_with(real(directory)))
}

impl Config {
    /// The whole configuration, or every mistake in it.
    pub fn check(sources: &Sources, mut mistakes: Vec<String>) -> Result<Self, Vec<String>> {
        let mut reader = Reader {
            sources,
            mistakes: std::mem::take(&mut mistakes),
        };
        let fallback = SocketAddr::from(([127, 0, 0, 1], 8200));
        let listen = reader
            .parsed("listen", "an address like 127.0.0.1:8200")
            .unwrap_or(fallback);
        let insecure = reader.parsed("insecure_listen", "true or false").unwrap_or(false);
        if !listen.ip().is_loopback() && !insecure {
            reader.mistakes.push(format!(
                "'listen' {listen} is reachable from outside and this is plain HTTP: set 'insecure_listen' where TLS ends before us."
            ));
        }
        let store = reader.store();
        let root_key = reader.root_key(&store);
        let issuer = reader.text("issuer").unwrap_or_else(|| format!("http://{listen}"));
        if !issuer.starts_with("http://") && !issuer.starts_with("https://") {
            reader.mistakes.push("'issuer' is not an http or https address.".into());
        }
        let poll = reader.millis("cache.poll_ms", 0..=60_000);
        let settings = Settings {
            node: reader.text("node").unwrap_or_default(),
            issuer: Issuer {
                issuer,
                audience: reader.text("audience").unwrap_or_default(),
            },
            audit_deadline: reader.millis("audit.deadline_ms", 50..=10_000),
            audit_queue: reader.size("audit.queue", 16..=1_000_000),
            payload_bytes: reader.size("limits.payload_bytes", 1..=1_048_576),
            max_versions: u32::try_from(reader.size("limits.versions", 1..=1000)).unwrap_or(1000),
            secret_cache_bytes: reader.number("cache.secret_bytes", 0..=1 << 40),
            session_cache: reader.size("cache.sessions", 16..=10_000_000),
            poll: (!poll.is_zero()).then_some(poll),
        };
        let limits = Limits {
            connections: reader.size("limits.connections", 1..=1_000_000),
            header_time: reader.seconds("limits.header_seconds", 1..=60),
            drain: reader.seconds("limits.drain_seconds", 0..=600),
        };
        let config = Self {
            listen,
            metrics_listen: reader.parsed("metrics_listen", "an address like 127.0.0.1:9200"),
            request_deadline: reader.seconds("limits.request_seconds", 1..=60),
            log: reader.text("log").unwrap_or_default(),
            store,
            root_key,
            settings,
            limits,
        };
        if reader.mistakes.is_empty() {
            Ok(config)
        } else {
            Err(reader.mistakes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let mut sources = Sources::default();
        for (name, value) in pairs {
            sources.set(name, value);
        }
        Config::check(&sources, Vec::new())
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let mut sources = Sources::default();
        let mut mistakes = Vec::new();
        sources.read_file(
            "lisen = 'x'\nlisten = 'nowhere'\n[audit]\ndeadline_ms = 5\n",
            &mut mistakes,
        );
        let mistakes = Config::check(&sources, mistakes).unwrap_err();
        for part in ["'lisen'", "'listen'", "'audit.deadline_ms'", "Name a store"] {
            assert!(
                mistakes.iter().any(|mistake| mistake.contains(part)),
                "{part}: {mistakes:?}"
            );
        }
    }

    #[test]
    fn later_sources_win_and_plain_http_stays_at_home() {
        let mut sources = Sources::default();
        sources.read_file("listen = '127.0.0.1:1'\ndata_dir = '/d'\n", &mut Vec::new());
        sources.read_environment(|name| (name == "STRONGROOM_LISTEN").then(|| "127.0.0.1:2".to_owned()));
        assert_eq!(Config::check(&sources, Vec::new()).unwrap().listen.port(), 2);
        assert!(check(&[("data_dir", "/d"), ("listen", "0.0.0.0:1")]).is_err());
        assert!(check(&[("data_dir", "/d"), ("listen", "0.0.0.0:1"), ("insecure_listen", "true")]).is_ok());
        assert!(check(&[("data_dir", "/tmp"), ("root_key_file", "/tmp/key")]).is_err());
        assert!(check(&[("data_dir", "/tmp/x"), ("root_key_file", "/tmp/key")]).is_ok());
    }
}
