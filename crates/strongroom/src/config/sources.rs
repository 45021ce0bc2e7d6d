//! Where settings come from.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use strongroom_domain::SlotMethod;

use super::SETTINGS;

/// The settings that open the installation: one of them is given.
pub(super) const OPENING: [(&str, SlotMethod); 3] = [
    ("root_key", SlotMethod::File),
    ("recovery_key", SlotMethod::Recovery),
    ("passphrase", SlotMethod::Passphrase),
];

/// No setting: nobody can say so.
pub(super) const FORBID_HOME: &str = "(forbid home)";

/// Values by setting's name; `NAME_file` for secrets in files.
#[derive(Debug, Default)]
pub struct Sources(BTreeMap<String, SecretString>);

impl Sources {
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// The same, unless it or one of the others is set already.
    pub fn set_unless(&mut self, name: &str, value: &str, others: &[&str]) {
        if !others.iter().chain([&name]).any(|name| self.0.contains_key(*name)) {
            self.set(name, value);
        }
    }

    /// Forgets whatever was to open the installation.
    pub fn forget_keys(&mut self) {
        for (name, _) in OPENING {
            self.0.remove(name);
            self.0.remove(&format!("{name}_file"));
        }
    }

    /// What serves others does not call itself, whatever it is told.
    pub fn forbid_home(&mut self) {
        self.set(FORBID_HOME, "true");
    }

    /// For a verb that opens none of the stores that are configured.
    pub fn forget_store(&mut self) {
        self.0.remove("database_url");
        self.0.remove("database_url_file");
        self.set("data_dir", "/dev/null");
    }

    /// The file of this setting opens the installation, and nothing else does.
    pub fn open_with(&mut self, name: &str, file: &Path) {
        self.forget_keys();
        self.set(&format!("{name}_file"), &file.to_string_lossy());
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
                toml::Value::Array(items) => {
                    let items: Vec<&str> = items.iter().filter_map(toml::Value::as_str).collect();
                    self.known(&name, &items.join(","), mistakes);
                }
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

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(ExposeSecret::expose_secret)
    }
}
