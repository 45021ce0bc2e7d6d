//! Every setting there is.

/// One setting: its name in the file (`STRONGROOM_` and upper case, dots as `_`, in the environment), its default, and
/// what it is. A secret one can be given as `NAME_file` too.
#[derive(Debug)]
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
        "tls.certificate_file",
        None,
        "Serve HTTPS with the certificate in this file (PEM), and those that lead from it to its CA. Read again when it changes.",
    ),
    setting(
        "tls.key_file",
        None,
        "The certificate's private key (PEM). Read again when it changes.",
    ),
    setting(
        "tls.client_certificates",
        Some("none"),
        "Whether clients show a certificate: 'none', 'optional' or 'required'.",
    ),
    setting(
        "tls.client_ca_file",
        None,
        "The CAs that clients' certificates come from (PEM). Read again when it changes.",
    ),
    setting(
        "metrics_listen",
        None,
        "Address of a listener for metrics and health alone; without it they are on 'listen'.",
    ),
    setting(
        "flags_listen",
        None,
        "Address of a listener that everybody may reach: it evaluates flags, for browser keys too, and cannot reach anything \
         else. 127.0.0.1:8201 in 'dev', unless that is told where to listen.",
    ),
    setting(
        "flags.origins",
        Some(""),
        "Pages' origins, separated by commas, that may evaluate flags by 'listen'; a browser key names its own.",
    ),
    setting("data_dir", None, "Directory of the embedded store."),
    secret(
        "database_url",
        "postgres://USER:PASSWORD@HOST:PORT/DATABASE; PostgreSQL instead of the embedded store.",
    ),
    secret("root_key", "64 hexadecimal digits that open the key ring."),
    secret(
        "recovery_key",
        "Opens the key ring instead of the root key, where that is lost.",
    ),
    secret("passphrase", "Opens the key ring instead of the root key."),
    setting(
        "node",
        Some("strongroom"),
        "What this node is called. Recorded at each start; the search of the log does not show it yet.",
    ),
    setting(
        "issuer",
        None,
        "The 'iss' of access tokens and base of the discovery document; default http://LISTEN, or https://LISTEN with TLS.",
    ),
    setting("audience", Some("strongroom"), "The 'aud' of access tokens."),
    setting(
        "trusted_proxies",
        None,
        "Proxies whose word for whom they speak is taken: addresses and networks, separated by commas.",
    ),
    setting(
        "forwarded_header",
        Some("x-forwarded-for"),
        "The header in which these proxies say it: 'x-forwarded-for' or 'forwarded'. The other is not read.",
    ),
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
        "outbound.allow",
        Some(""),
        "Hosts, addresses and networks, separated by commas, that may be called although they are not public: issuers of \
         tokens, clusters, targets. This machine itself in 'dev' alone.",
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
        "watch.poll_ms",
        Some("50"),
        "The same while anybody on this node waits for a change: 10 to 500. Streams must end within a second of a revocation.",
    ),
    setting(
        "watch.streams",
        Some("10000"),
        "How many may watch at once on this node: 1 to 1,000,000. Each has a connection too.",
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
    setting(
        "limits.failed_per_source_per_minute",
        Some("100"),
        "Failed logins and other calls refused with 401 or 403, of an IPv4 address or an IPv6 /64; 0: no limit.",
    ),
    setting(
        "limits.exempt_per_source_per_minute",
        Some("6000"),
        "Calls of routes that leave no audit entry, of an IPv4 address or an IPv6 /64; health is not counted; 0: no limit.",
    ),
    setting(
        "limits.per_identity_per_second",
        Some("200000"),
        "Calls and logins of one principal, at each node; 0: no limit.",
    ),
    setting(
        "limits.login_delay",
        Some("60"),
        "The longest that a login waits after others with the same name from the same source have failed, in seconds: 0 to 3600.",
    ),
    setting("limits.connections", Some("10000"), "Open connections."),
    setting(
        "limits.header_seconds",
        Some("10"),
        "Time for a request's head to arrive: 1 to 60.",
    ),
    setting(
        "limits.write_seconds",
        Some("30"),
        "How long a client may take nothing of what it is sent: 1 to 600.",
    ),
    setting("limits.request_seconds", Some("10"), "Time for a request: 1 to 60."),
    setting(
        "limits.drain_seconds",
        Some("20"),
        "Time for open requests to finish at a stop: 0 to 600.",
    ),
];
