//! Every way a request can fail: one closed list of codes, each with its cause and next step. Transport-free: each
//! dialect renders a code in one exhaustive match of its own.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::audit::{Denial, EntryId};
use crate::policy::Capability;

pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! codes {
    ($($variant:ident = $number:literal, $name:literal, $title:literal, $help:literal;)*) => {
        /// Stable: names stand in answers, numbers in audit entries. Neither is ever reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($variant = $number,)* }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What is wrong, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What to do next.
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }

            pub fn number(self) -> i16 {
                self as i16
            }

            pub fn from_number(number: i16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    InvalidRequest = 1, "invalid_request", "The request is not valid", "Correct the field that the detail names and send the request again.";
    InvalidPath = 2, "invalid_path", "The path is not valid", "A path is 1 to 32 segments joined by '/', none empty, '.' or '..', in all at most 512 bytes of NFC text.";
    InvalidPolicy = 3, "invalid_policy", "The policy is not valid", "Correct the rule that the detail names.";
    PayloadTooLarge = 4, "payload_too_large", "The value is too large", "Store a smaller value, or raise limits.payload_bytes (at most 1 MiB).";
    Unauthenticated = 10, "unauthenticated", "No valid token", "Send 'Authorization: Bearer TOKEN' with a token that has not expired or been revoked.";
    LoginFailed = 11, "login_failed", "The login was refused", "Check the client's id and secret, or the username and password; of another method, the token, its role, and the server's log.";
    PermissionDenied = 12, "permission_denied", "Permission denied", "Ask an administrator for a policy that grants the named capability on the named path; 'explain' tells by the denial id which rule would.";
    BuiltIn = 13, "built_in", "It is built in", "What is built in cannot be written or deleted; write one of another name, and name that one.";
    AuthorizationPending = 14, "authorization_pending", "Nobody has confirmed the login yet", "Confirm it at the address with the code, and ask again after 'interval' seconds.";
    SlowDown = 15, "slow_down", "It is asked too often whether the login is confirmed", "Ask again after the time in Retry-After, and as seldom from then on.";
    RevisionTooOld = 16, "revision_too_old", "The changes since then are not kept any more", "List anew, and watch from the revision that a watch without 'since' begins with.";
    NotFound = 20, "not_found", "Nothing is there", "Check the spelling; 'list' shows what you may see.";
    Deleted = 21, "deleted", "The version is deleted", "POST /api/v1/versions/{path} with {\"action\":\"undelete\",\"versions\":[N]} brings it back.";
    Destroyed = 22, "destroyed", "The version is destroyed", "Its value cannot be had again; read another version.";
    PendingDeletion = 23, "pending_deletion", "The secret is pending deletion", "POST /api/v1/metadata/{path} with {\"action\":\"restore\"} brings it back until its time is over.";
    CasMismatch = 30, "cas_mismatch", "The current version is another one", "Read the secret again, and send the number of its current version as 'cas' (0 when it has none).";
    Conflict = 31, "conflict", "The request conflicts with what is stored", "The detail says with what. Look at it again before you repeat the request.";
    ChangeIdReused = 32, "change_id_reused", "This change id was used for another request", "Use a fresh id for each change; repeat an id only with the same request.";
    LimitReached = 33, "limit_reached", "A limit is reached", "Remove what is no longer needed, as the detail says.";
    RotationRunning = 34, "rotation_running", "A rotation of the secret is under way", "Try again once it is over; the secret's rotation shows how far it is.";
    LeaseLimit = 49, "lease_limit", "The lease role has as many leases as it may", "Wait for one to end, end one, or raise the role's 'max_leases'.";
    TargetFailed = 48, "target_failed", "The target did not do what it was told", "The detail says why. Look at the target, its credential and 'outbound.allow'.";
    AuditUnavailable = 40, "audit_unavailable", "The audit record could not be made durable", "Nothing was shown or changed. Try again; see /ready for the cause.";
    StoreUnavailable = 41, "store_unavailable", "The database cannot be reached", "Try again; see /ready for the cause.";
    OutcomeUnknown = 42, "outcome_unknown", "The change may or may not have been made", "Repeat the request with the id in the detail as its change id: it is applied at most once.";
    Unsettled = 43, "unsettled", "What the answer rests on kept changing", "Try again.";
    RateLimited = 45, "rate_limited", "Too many requests", "Try again after the time in Retry-After, and mend what makes requests fail. Behind a proxy, name it in 'trusted_proxies'.";
    LoginDelayed = 46, "login_delayed", "Too many logins with this name have failed", "Try again after the time in Retry-After, with the right secret.";
    IssuerUnavailable = 47, "issuer_unavailable", "Who vouches for the caller cannot be asked", "Try again; the server's log says which login method it is and why.";
    Overloaded = 44, "overloaded", "The server is busy", "Try again after the time in Retry-After.";
    IntegrityFailed = 50, "integrity_failed", "A stored row fails its integrity check", "The database was altered or damaged. Do not trust it; follow the runbook for a tampered database.";
    Internal = 51, "internal", "An internal error", "Report it with the request id.";
    RouteNotFound = 60, "route_not_found", "There is no such route", "See the API reference.";
    MethodNotAllowed = 61, "method_not_allowed", "The route does not take this method", "See the header Allow.";
    BodyTooLarge = 62, "body_too_large", "The body is too large", "Send at most 1 MiB.";
    DeadlineExceeded = 63, "deadline_exceeded", "The request took too long", "Try again.";
    BodyTimeout = 65, "body_timeout", "The body did not arrive in time", "Send the whole body at once; half of limits.request_seconds is waited for it.";
    UnsupportedEncoding = 66, "unsupported_encoding", "The body is compressed", "Send the body without Content-Encoding.";
    BackupDamaged = 70, "backup_damaged", "The backup is damaged", "Take another copy of this file, or an older backup. 'operator backup verify' checks one.";
    BackupNotOpened = 71, "backup_not_opened", "No key that was given opens the backup", "Give what opened the installation when the backup was made.";
    StoreNotEmpty = 72, "store_not_empty", "The store is not empty", "Name an empty database or data directory; 'strongroom migrate up' prepares it.";
    GrantsPutBack = 73, "grants_put_back", "What grants access was put back to an older state", "Find out who put the database back and to when. If that was meant, run 'strongroom operator accept-restore --reason REASON'.";
    Uninitialised = 64, "uninitialised", "This installation is not initialised", "Run 'strongroom operator init'.";
}

/// A failure: the code and a detail for the caller, and apart from both the cause, for the log alone.
pub struct Error {
    pub code: Code,
    pub detail: String,
    pub cause: Option<Box<dyn StdError + Send + Sync>>,
    /// When the same request may succeed.
    pub retry_after: Option<Duration>,
    /// The capability that policies do not grant.
    pub missing: Option<Capability>,
    /// As what it is on record.
    pub entry: Option<EntryId>,
}

impl Error {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            cause: None,
            retry_after: None,
            missing: None,
            entry: None,
        }
    }

    /// Policies do not grant this capability on this path.
    pub fn not_granted(missing: Capability, path: &str) -> Self {
        Self {
            missing: Some(missing),
            ..Self::new(
                Code::PermissionDenied,
                format!("'{}' on '{path}' is not granted.", missing.name()),
            )
        }
    }

    /// The same, as it is on record.
    #[must_use]
    pub fn entered(self, entry: EntryId) -> Self {
        Self {
            entry: Some(entry),
            ..self
        }
    }

    /// What names it, if it is a denial that is on record.
    pub fn denial(&self) -> Option<Denial> {
        let entry = self.entry.filter(|_| self.code == Code::PermissionDenied)?;
        Some(Denial {
            entry,
            missing: self.missing,
        })
    }

    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, detail)
    }

    /// `what` names the kind of row and what failed, never its content.
    pub fn integrity(what: impl Into<String>) -> Self {
        Self::new(Code::IntegrityFailed, what)
    }

    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::from(Code::Internal).because(cause)
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::new(code, code.title())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.detail)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        match &self.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {}
/// Refuses a write that was made for another version than the current one; 0: there is none.
pub fn check_cas(current: i64, cas: Option<i64>) -> Result<()> {
    match cas {
        Some(cas) if cas != current => Err(Error::new(
            Code::CasMismatch,
            format!("'cas' is {cas}, and the current version is {current}."),
        )),
        _ => Ok(()),
    }
}
