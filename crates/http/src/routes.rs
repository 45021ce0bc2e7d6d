//! Every operation with what it takes, shows and refuses, and an example that a test sends; one file a few nouns.

pub(crate) mod clients;
pub(crate) mod dead_letters;
pub(crate) mod explain;
pub(crate) mod flags;
pub(crate) mod grants;
pub(crate) mod leases;
pub(crate) mod list;
pub(crate) mod metadata;
pub(crate) mod methods;
pub(crate) mod namespaces;
pub(crate) mod node;
pub(crate) mod operators;
pub(crate) mod rotation;
pub(crate) mod secrets;
pub(crate) mod system;
pub(crate) mod tokens;
pub(crate) mod watch;

/// When examples take place.
const AT: &str = "2026-03-01T12:00:00.000000Z";
const LATER: &str = "2026-03-08T12:00:00.000000Z";
const PRINCIPAL: &str = "c1a5b7d93e2f4860a1b2c3d4e5f60718";
const CLIENT: &str = "3f9a1c0e5b7d48629a0b1c2d3e4f5061";
const CLIENT_SECRET: &str = "src_example";
const SECRET_ID: &str = "7b2e4d6f8091a3b5c7d9e1f203142536";
const SECOND_SECRET_ID: &str = "90a1b2c3d4e5f60718293a4b5c6d7e8f";
const NAMESPACE_ID: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
const ACCESSOR: &str = "5d4c3b2a190807f6e5d4c3b2a1908f7e";
const RECOVERY_KEY: &str = "SRR-AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B4IB-CEQT-CQKR-MFYY-DENB-WHA5-DYPW-GDON";
