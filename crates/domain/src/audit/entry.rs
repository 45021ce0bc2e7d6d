//! One recorded access.

use std::sync::Arc;

use crate::canon::{Canon, Columns};
use crate::error::Code;
use crate::ids::RequestId;
use crate::{Digest, NamespaceId, PrincipalId, Time};

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $number:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($variant = $number,)* }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            pub fn number(self) -> i16 {
                self as i16
            }

            pub fn from_number(number: i16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == text)
            }
        }
    };
}

numbered! {
    /// What was asked for. Numbers are stored and never reused.
    Action {
        SecretRead = 1, "secret.read";
        SecretList = 2, "secret.list";
        SecretHistory = 3, "secret.history";
        MetadataRead = 4, "metadata.read";
        AuditRead = 5, "audit.read";
        PolicyRead = 6, "policy.read";
        RoleRead = 7, "role.read";
        ClientRead = 8, "client.read";
        ReportRead = 9, "report.read";
        OperatorRead = 10, "operator.read";
        GroupRead = 11, "group.read";
        Whoami = 12, "auth.whoami";
        TokenRead = 13, "token.read";
        MethodRead = 14, "method.read";
        NamespaceRead = 15, "namespace.read";
        SlotRead = 16, "key.slot_read";
        Explain = 17, "access.explain";
        WhoCan = 18, "access.who_can";
        PolicyHistory = 19, "policy.history";
        SecretWrite = 20, "secret.write";
        SecretDelete = 21, "secret.delete";
        SecretUndelete = 22, "secret.undelete";
        LabelMove = 23, "label.move";
        LabelRemove = 24, "label.remove";
        MetadataWrite = 25, "metadata.write";
        SecretImport = 26, "secret.import";
        SecretPatch = 27, "secret.patch";
        SecretDestroy = 28, "secret.destroy";
        SecretRetire = 29, "secret.retire";
        SecretRestore = 30, "secret.restore";
        SecretPurge = 31, "secret.purge";
        SecretExpiring = 32, "secret.expiring";
        PolicyWrite = 40, "policy.write";
        PolicyDelete = 41, "policy.delete";
        RoleWrite = 42, "role.write";
        RoleDelete = 43, "role.delete";
        ClientCreate = 44, "client.create";
        ClientDelete = 45, "client.delete";
        ClientSecretCreate = 46, "client.secret_create";
        ClientSecretDelete = 47, "client.secret_delete";
        PrincipalErase = 48, "principal.erase";
        OperatorWrite = 49, "operator.write";
        OperatorDelete = 50, "operator.delete";
        OperatorPassword = 51, "operator.password";
        GroupWrite = 52, "group.write";
        GroupDelete = 53, "group.delete";
        MethodWrite = 54, "method.write";
        MethodDelete = 55, "method.delete";
        NamespaceWrite = 56, "namespace.write";
        NamespaceDelete = 57, "namespace.delete";
        NamespaceToken = 58, "namespace.token";
        Login = 60, "auth.login";
        TokenCreate = 61, "token.create";
        TokenRenew = 62, "token.renew";
        TokenRevoke = 63, "token.revoke";
        SigningKeyRotate = 65, "key.signing_rotate";
        LoginStart = 66, "auth.login_start";
        TotpWrite = 67, "operator.totp";
        Initialise = 70, "operator.init";
        DataKeyRotate = 71, "key.data_rotate";
        Reseal = 72, "key.reseal";
        DataKeyDestroy = 73, "key.data_destroy";
        SlotAdd = 74, "key.slot_add";
        SlotRemove = 75, "key.slot_remove";
        Backup = 76, "operator.backup";
        BackupKept = 77, "operator.backup_kept";
        RestoreBackup = 78, "operator.restore";
        AcceptRestore = 79, "operator.accept_restore";
        RecoverAdmin = 80, "operator.recover_admin";
        ManifestCheck = 81, "manifest.check";
        LiftHold = 82, "operator.lift_hold";
        TargetWrite = 90, "target.write";
        TargetDelete = 91, "target.delete";
        LeaseRoleWrite = 92, "lease_role.write";
        LeaseRoleDelete = 93, "lease_role.delete";
        RotationRead = 200, "rotation.read";
        TargetRead = 201, "target.read";
        LeaseRoleRead = 202, "lease_role.read";
        LeaseRead = 203, "lease.read";
        PolicyDryRun = 204, "policy.dry_run";
        FlagRead = 205, "flag.read";
        FlagHistory = 206, "flag.history";
        FlagSetRead = 207, "flag_set.read";
        FlagEvaluate = 208, "flag.evaluate";
        BrowserKeyRead = 209, "flag_set.browser_key_read";
        DeadLetterRead = 215, "dead_letter.read";
        WatchStart = 220, "watch.start";
        WatchEnd = 221, "watch.end";
        WatchRead = 222, "watch.read";
        RotationWrite = 300, "rotation.write";
        RotationDelete = 301, "rotation.delete";
        RotationTell = 302, "rotation.tell";
        RotationCreate = 303, "rotation.create";
        RotationSet = 304, "rotation.set";
        RotationTest = 305, "rotation.test";
        RotationFinish = 306, "rotation.finish";
        RotationEnd = 307, "rotation.end";
        RotationFail = 308, "rotation.fail";
        RotationTake = 309, "rotation.take";
        LeaseCreate = 320, "lease.create";
        LeaseIssue = 321, "lease.issue";
        LeaseRenew = 322, "lease.renew";
        LeaseRevoke = 323, "lease.revoke";
        LeaseEnd = 324, "lease.end";
        LeaseFail = 325, "lease.fail";
        LeaseAbandon = 326, "lease.abandon";
        NoticeTake = 330, "notice.take";
        NoticeSend = 331, "notice.send";
        NoticeFail = 332, "notice.fail";
        NoticeEnd = 333, "notice.end";
        FlagWrite = 340, "flag.write";
        FlagDelete = 341, "flag.delete";
        FlagRollback = 342, "flag.rollback";
        FlagSetWrite = 343, "flag_set.write";
        FlagImport = 344, "flag_set.import";
        FlagCopy = 345, "flag_set.copy";
        FlagStream = 346, "flag_set.stream";
        BrowserKeyCreate = 347, "flag_set.browser_key_create";
        BrowserKeyDelete = 348, "flag_set.browser_key_delete";
        DeadLetterRetry = 350, "dead_letter.retry";
        DeadLetterDiscard = 351, "dead_letter.discard";
        DeadLetterDrop = 352, "dead_letter.drop";
        FlagCountsRead = 353, "flag.counts";
    }
}

numbered! {
    /// In which protocol it was asked.
    Dialect {
        Native = 1, "native";
        Internal = 2, "internal";
        Ofrep = 3, "ofrep";
    }
}

numbered! {
    /// What became of it. `granted` is written before the answer leaves: the log may over-report, never under-report.
    OutcomeKind {
        Granted = 1, "granted";
        Denied = 2, "denied";
        Refused = 3, "refused";
    }
}

/// How long an entry is kept: each class in its own table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Reads that were granted, or found nothing: 90 days.
    Reads = 1,
    /// Changes, logins and denials: 400 days.
    Kept = 2,
}

impl Class {
    pub const ALL: [Self; 2] = [Self::Reads, Self::Kept];

    pub fn number(self) -> i16 {
        self as i16
    }

    pub fn from_number(number: i16) -> Option<Self> {
        match number {
            1 => Some(Self::Reads),
            2 => Some(Self::Kept),
            _ => None,
        }
    }
}

impl Action {
    /// Actions that show something and change nothing stand below 20, and from 200 to 299.
    pub fn is_read(self) -> bool {
        matches!(self.number(), ..20 | 200..300)
    }

    /// What is counted rather than entered where it is granted: nothing secret is shown, and a program does it all the time.
    pub fn is_counted(self) -> bool {
        self == Self::FlagEvaluate
    }

    /// Actions on what grants something stand from 40 to 199. Where an entry of one has a version, it is the number of the
    /// manifest as of then.
    pub fn is_of_grants(self) -> bool {
        (40..200).contains(&self.number()) && self != Self::Reseal
    }
}

const LABEL: &str = "strongroom entry";
const FORMAT: u8 = 1;

/// What is recorded of one access. What stands beside it in clear and can be erased is in [`StoredEntry`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub at: Time,
    pub request: RequestId,
    pub dialect: Dialect,
    pub action: Action,
    pub outcome: OutcomeKind,
    /// Why it was denied or refused: a [`Code`]'s number; 0 when granted.
    pub reason: i16,
    /// `None` when nobody proved who they are; a name merely claimed is never stored.
    pub principal: Option<PrincipalId>,
    /// HMAC of token accessor and source under the principal's salt (an unproven caller's: under a salt of the month).
    pub who: Digest,
    pub namespace: NamespaceId,
    /// A secret's path or an object's name; empty where the action has none.
    pub path: String,
    pub version: Option<i64>,
    /// Of the whole head after a change.
    pub digest: Option<Digest>,
    /// How many identical failures within one batch this entry stands for.
    pub count: i64,
}

impl Entry {
    /// The bytes that are hashed into the batch's tree. Format 1, fixed.
    pub fn canonical(&self) -> Vec<u8> {
        Canon::new(LABEL)
            .byte(FORMAT)
            .int(self.at.0)
            .bytes(&self.request.0)
            .int(self.dialect.number().into())
            .int(self.action.number().into())
            .int(self.outcome.number().into())
            .int(self.reason.into())
            .maybe_bytes(self.principal.as_ref().map(PrincipalId::as_slice))
            .bytes(&self.who.0)
            .bytes(self.namespace.as_slice())
            .text(&self.path)
            .maybe_int(self.version)
            .maybe_bytes(self.digest.as_ref().map(Digest::as_slice))
            .int(self.count)
            .done()
    }

    /// The entry of these bytes; `None` where they are no entry's that this program knows.
    pub fn from_canonical(bytes: &[u8]) -> Option<Self> {
        let mut columns = Columns::read(bytes, LABEL)?;
        if columns.byte()? != FORMAT {
            return None;
        }
        let entry = Self {
            at: Time(columns.int()?),
            request: RequestId::from_slice(columns.bytes()?)?,
            dialect: Dialect::from_number(columns.small()?)?,
            action: Action::from_number(columns.small()?)?,
            outcome: OutcomeKind::from_number(columns.small()?)?,
            reason: columns.small()?,
            principal: match columns.maybe_bytes()? {
                None => None,
                Some(id) => Some(PrincipalId::from_slice(id)?),
            },
            who: Digest::from_slice(columns.bytes()?)?,
            namespace: NamespaceId::from_slice(columns.bytes()?)?,
            path: columns.text()?.to_owned(),
            version: columns.maybe_int()?,
            digest: match columns.maybe_bytes()? {
                None => None,
                Some(digest) => Some(Digest::from_slice(digest)?),
            },
            count: columns.int()?,
        };
        columns.is_done().then_some(entry)
    }

    pub fn class(&self) -> Class {
        if self.action.is_read() && self.outcome != OutcomeKind::Denied {
            Class::Reads
        } else {
            Class::Kept
        }
    }

    pub fn reason_name(&self) -> Option<&'static str> {
        Code::from_number(self.reason).map(Code::name)
    }

    /// Whether two failures are the same but for their time and request.
    pub fn folds_with(&self, other: &Self) -> bool {
        self.outcome != OutcomeKind::Granted
            && self.outcome == other.outcome
            && self.action == other.action
            && self.reason == other.reason
            && self.principal == other.principal
            && self.who == other.who
            && self.namespace == other.namespace
            && self.path == other.path
            && self.version == other.version
            && self.dialect == other.dialect
    }
}

/// An entry as it lies in its table: its place, and beside it what may be erased without touching any proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    pub batch: super::BatchId,
    pub place: i64,
    pub entry: Entry,
    pub accessor: Option<Arc<str>>,
    pub source: Option<Arc<str>>,
}

impl StoredEntry {
    pub fn id(&self) -> super::EntryId {
        super::EntryId {
            batch: self.batch,
            place: self.place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::merkle;

    fn entry() -> Entry {
        Entry {
            at: Time(1_700_000_000_000_000),
            request: RequestId([1; 16]),
            dialect: Dialect::Native,
            action: Action::SecretRead,
            outcome: OutcomeKind::Granted,
            reason: 0,
            principal: Some(PrincipalId([2; 16])),
            who: Digest([3; 32]),
            namespace: NamespaceId([4; 16]),
            path: "payments/prod/api-key".into(),
            version: Some(5),
            digest: None,
            count: 1,
        }
    }

    #[test]
    fn canonical_bytes_are_fixed() {
        assert_eq!(
            merkle::leaf(&entry().canonical()).to_string(),
            "2bad4065039679cf92cd40369427079a0f4dbffb9a962da0620fe7bb0ba9c812"
        );
        let denied = Entry {
            action: Action::SecretWrite,
            outcome: OutcomeKind::Denied,
            reason: Code::PermissionDenied.number(),
            principal: None,
            version: None,
            digest: Some(Digest([6; 32])),
            count: 7,
            ..entry()
        };
        assert_eq!(
            merkle::leaf(&denied.canonical()).to_string(),
            "d7d821c01d400e7cc5c4f31a368790bfe378ead305102b3be4dd0b27e7b727fc"
        );
    }

    #[test]
    fn every_field_counts() {
        let base = entry();
        let changed = [
            Entry {
                at: Time(0),
                ..base.clone()
            },
            Entry {
                request: RequestId([9; 16]),
                ..base.clone()
            },
            Entry {
                dialect: Dialect::Internal,
                ..base.clone()
            },
            Entry {
                action: Action::SecretList,
                ..base.clone()
            },
            Entry {
                outcome: OutcomeKind::Refused,
                ..base.clone()
            },
            Entry {
                reason: 1,
                ..base.clone()
            },
            Entry {
                principal: None,
                ..base.clone()
            },
            Entry {
                who: Digest([9; 32]),
                ..base.clone()
            },
            Entry {
                namespace: NamespaceId([9; 16]),
                ..base.clone()
            },
            Entry {
                path: "payments/prod/api-ke".into(),
                ..base.clone()
            },
            Entry {
                version: None,
                ..base.clone()
            },
            Entry {
                digest: Some(Digest::ZERO),
                ..base.clone()
            },
            Entry {
                count: 2,
                ..base.clone()
            },
        ];
        for other in changed {
            assert_ne!(other.canonical(), base.canonical(), "{other:?}");
        }
    }
}
