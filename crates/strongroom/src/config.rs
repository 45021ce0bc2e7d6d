//! Configuration: defaults, then the file, then the environment, then flags. Checked as a whole: all mistakes at once.

mod limits;
mod settings;
mod sources;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use strongroom_broker::Settings;
use strongroom_connectors::Allowed;
use strongroom_crypto::{Issuer, Unlock};
use strongroom_domain::SlotMethod;
use strongroom_domain::flag::WebOrigin;
use strongroom_http::{Limits, SourceLimits};

use crate::files;
use crate::tls::Tls;
pub use settings::{SETTINGS, Setting};
pub use sources::Sources;
use sources::{FORBID_HOME, OPENING};

/// Where the rows are.
#[derive(Debug, Clone)]
pub enum StoreChoice {
    Sqlite(PathBuf),
    Postgres(SecretString),
}

#[derive(Debug)]
pub struct Config {
    pub listen: SocketAddr,
    /// Without it: plain HTTP.
    pub tls: Option<Tls>,
    pub metrics_listen: Option<SocketAddr>,
    /// A listener that everybody may reach: it evaluates flags, also for browser keys, and can do nothing else.
    pub flags_listen: Option<SocketAddr>,
    /// Pages that may evaluate flags by `listen`.
    pub flag_origins: Vec<WebOrigin>,
    pub store: StoreChoice,
    pub unlock: Option<UnlockSource>,
    pub settings: Settings,
    pub limits: Limits,
    /// What may be called that is not public.
    pub outbound: Allowed,
    pub sources: SourceLimits,
    pub request_deadline: Duration,
    pub log: String,
}

/// What opens the installation: itself, or the file it is in.
#[derive(Debug, Clone)]
pub struct UnlockSource {
    pub method: SlotMethod,
    pub from: SecretSource,
}

#[derive(Debug, Clone)]
pub enum SecretSource {
    Value(SecretString),
    File(PathBuf),
}

impl UnlockSource {
    pub fn root_key(file: PathBuf) -> Self {
        Self {
            method: SlotMethod::File,
            from: SecretSource::File(file),
        }
    }

    /// What it is, as it is kept.
    pub fn text(&self) -> Result<SecretString, String> {
        match &self.from {
            SecretSource::Value(value) => Ok(value.clone()),
            SecretSource::File(path) => {
                let method = self.method;
                let text = files::read_secret(path).map_err(|error| {
                    format!(
                        "The {method} file {} cannot be read: {error}.{}",
                        path.display(),
                        made_by(method)
                    )
                })?;
                Ok(text.as_str().into())
            }
        }
    }

    /// The error says what to do, and nothing of the key.
    pub fn read(&self) -> Result<Unlock, String> {
        let text = self.text()?;
        Unlock::parse(self.method, text.expose_secret()).map_err(|error| format!("It cannot be opened: {error}."))
    }
}

/// What a first start lacks most often.
fn made_by(method: SlotMethod) -> &'static str {
    match method {
        SlotMethod::File => " 'strongroom operator init' makes it, once.",
        SlotMethod::Recovery | SlotMethod::Passphrase => "",
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

    fn outbound(&mut self) -> Allowed {
        let allowed = Allowed::parse(&self.text("outbound.allow").unwrap_or_default()).unwrap_or_else(|mistake| {
            self.mistakes.push(format!("'outbound.allow': {mistake}"));
            Allowed::default()
        });
        if allowed.names_home() && self.sources.get(FORBID_HOME).is_some() {
            self.mistakes
                .push("'outbound.allow' names this machine itself, which is for 'dev' alone.".into());
        }
        allowed
    }

    fn flags_listen(&mut self, insecure: bool, tls: bool) -> Option<SocketAddr> {
        let listen: SocketAddr = self.parsed("flags_listen", "an address like 127.0.0.1:8201")?;
        if !listen.ip().is_loopback() && !insecure && !tls {
            self.mistakes.push(format!(
                "'flags_listen' {listen} is reachable from outside and this is plain HTTP: set 'tls.certificate_file' and 'tls.key_file', or 'insecure_listen' where TLS ends before us."
            ));
        }
        Some(listen)
    }

    fn origins(&mut self) -> Vec<WebOrigin> {
        let text = self.text("flags.origins").unwrap_or_default();
        let named = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let parsed = named
            .map(|name| WebOrigin::parse(name).map_err(|error| format!("'flags.origins', '{name}': {}", error.detail)));
        let (origins, mistakes): (Vec<_>, Vec<_>) = parsed.partition(Result::is_ok);
        self.mistakes.extend(mistakes.into_iter().filter_map(Result::err));
        origins.into_iter().filter_map(Result::ok).collect()
    }

    fn unlock(&mut self, store: &StoreChoice) -> Option<UnlockSource> {
        let mut given = Vec::new();
        for (name, method) in OPENING {
            let (value, file) = self.secret(name);
            if let (StoreChoice::Sqlite(directory), Some(file)) = (store, &file)
                && is_inside(file, directory)
            {
                self.mistakes.push(format!(
                    "'{name}_file' lies in 'data_dir': who copies one would have both. Keep the key elsewhere."
                ));
            }
            let from = value.map(SecretSource::Value).or(file.map(SecretSource::File));
            given.extend(from.map(|from| UnlockSource { method, from }));
        }
        if given.len() > 1 {
            self.mistakes
                .push("Give one of 'root_key', 'recovery_key' and 'passphrase'.".into());
        }
        given.pop()
    }
}

fn is_inside(file: &Path, directory: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    file.parent()
        .is_some_and(|parent| real(parent).starts_with(real(directory)))
}

impl Config {
    /// What opens the installation; the error says how to name it.
    pub fn unlock(&self) -> Result<&UnlockSource, String> {
        let unlock = self.unlock.as_ref();
        unlock.ok_or_else(|| "Give the root key: set 'root_key_file'.".into())
    }

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
        let tls = reader.tls();
        if !listen.ip().is_loopback() && !insecure && tls.is_none() {
            reader.mistakes.push(format!(
                "'listen' {listen} is reachable from outside and this is plain HTTP: set 'tls.certificate_file' and 'tls.key_file', or 'insecure_listen' where TLS ends before us."
            ));
        }
        let tls_is_on = tls.is_some();
        let store = reader.store();
        let unlock = reader.unlock(&store);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let issuer = reader.text("issuer").unwrap_or_else(|| format!("{scheme}://{listen}"));
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
            watch_poll: reader.millis("watch.poll_ms", 10..=500),
            watch_streams: reader.size("watch.streams", 1..=1_000_000),
            per_identity: reader.rate("limits.per_identity_per_second", Duration::from_secs(1)),
            login_delay: reader.seconds("limits.login_delay", 0..=3600),
        };
        let limits = Limits {
            connections: reader.size("limits.connections", 1..=1_000_000),
            header_time: reader.seconds("limits.header_seconds", 1..=60),
            write_time: reader.seconds("limits.write_seconds", 1..=600),
            drain: reader.seconds("limits.drain_seconds", 0..=600),
        };
        let config = Self {
            listen,
            tls,
            flags_listen: reader.flags_listen(insecure, tls_is_on),
            flag_origins: reader.origins(),
            metrics_listen: reader.parsed("metrics_listen", "an address like 127.0.0.1:9200"),
            request_deadline: reader.seconds("limits.request_seconds", 1..=60),
            outbound: reader.outbound(),
            log: reader.text("log").unwrap_or_default(),
            store,
            unlock,
            settings,
            limits,
            sources: reader.sources(),
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
