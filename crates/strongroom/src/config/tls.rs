//! The settings of HTTPS.

use std::path::PathBuf;

use super::Reader;
use crate::tls::{Clients, Tls};

impl Reader<'_> {
    pub(super) fn tls(&mut self) -> Option<Tls> {
        let [certificate, key, ca] = ["tls.certificate_file", "tls.key_file", "tls.client_ca_file"]
            .map(|name| self.text(name).map(PathBuf::from));
        if certificate.is_some() != key.is_some() {
            self.mistakes
                .push("Give both 'tls.certificate_file' and 'tls.key_file', or neither.".into());
        }
        let asked = self.text("tls.client_certificates").unwrap_or_default();
        let clients = match (asked.as_str(), ca) {
            ("none", None) => Clients::Nobody,
            ("optional", Some(ca)) => Clients::Optional(ca),
            ("required", Some(ca)) => Clients::Required(ca),
            ("none", Some(_)) => self.wrong("'tls.client_ca_file' checks nobody: set 'tls.client_certificates' too."),
            ("optional" | "required", None) => {
                self.wrong("'tls.client_certificates' needs 'tls.client_ca_file', to check them by.")
            }
            _ => self.wrong("'tls.client_certificates' is not 'none', 'optional' or 'required'."),
        };
        if certificate.is_none() && !matches!(clients, Clients::Nobody) {
            self.mistakes
                .push("'tls.client_certificates' needs TLS: set 'tls.certificate_file' and 'tls.key_file'.".into());
        }
        Some(Tls {
            certificate: certificate?,
            key: key?,
            clients,
        })
    }

    fn wrong(&mut self, mistake: &str) -> Clients {
        self.mistakes.push(mistake.into());
        Clients::Nobody
    }
}
