//! What each verb needs: in each layout, a path and a capability. The one table; no dialect has another.

use crate::audit::Action;
use crate::flag::{FlagPath, FlagSetName};
use crate::policy::{Capability, Layout, Need};
use crate::{Name, Prefix, SecretPath};

/// What a request wants to do.
#[derive(Debug, Clone, Copy)]
pub enum Access<'a> {
    /// A capability on a secret.
    Secret(&'a SecretPath, Capability),
    /// Listing a folder: names are filtered one by one.
    Folder(&'a Prefix),
    Policy(&'a Name, Capability),
    Policies,
    Role(&'a Name, Capability),
    Roles,
    /// A client by its id.
    Client(&'a str, Capability),
    Clients,
    Operator(&'a Name, Capability),
    Operators,
    Group(&'a Name, Capability),
    Groups,
    Method(&'a Name, Capability),
    Methods,
    Target(&'a Name, Capability),
    Targets,
    /// A lease role, and the leases of it.
    LeaseRole(&'a Name, Capability),
    LeaseRoles,
    Flag(&'a FlagPath, Capability),
    FlagSets,
    /// What concerns every flag of a project's environment.
    FlagSet(&'a FlagSetName, Capability),
    /// A service token by its accessor.
    Token(&'a str, Capability),
    Tokens(Capability),
    /// A namespace of the installation, by name.
    Namespace(&'a str, Capability),
    Namespaces,
    Audit,
    /// What others may do, and by which rule.
    Explain,
    Reports,
    Principal(&'a str, Capability),
    DataKey,
    SigningKey,
    /// What opens the installation, by name.
    Slot(&'a Name),
    Slots,
    /// A root token for whoever holds the installation's key.
    Recovery,
    /// Every row there is, sealed.
    Backup,
}

impl Access<'_> {
    /// The path in the native layout.
    pub fn path(&self) -> String {
        match self {
            Self::Secret(path, _) => format!("secret/{path}"),
            Self::Folder(prefix) => format!("secret/{}", prefix.start()),
            Self::Policy(name, _) => format!("sys/policies/{name}"),
            Self::Policies => "sys/policies/".into(),
            Self::Role(name, _) => format!("sys/roles/{name}"),
            Self::Roles => "sys/roles/".into(),
            Self::Client(id, _) => format!("sys/clients/{id}"),
            Self::Clients => "sys/clients/".into(),
            Self::Operator(name, _) => format!("sys/operators/{name}"),
            Self::Operators => "sys/operators/".into(),
            Self::Group(name, _) => format!("sys/groups/{name}"),
            Self::Groups => "sys/groups/".into(),
            Self::Method(name, _) => format!("sys/methods/{name}"),
            Self::Methods => "sys/methods/".into(),
            Self::Target(name, _) => format!("target/{name}"),
            Self::Targets => "target/".into(),
            Self::LeaseRole(name, _) => format!("lease/{name}"),
            Self::LeaseRoles => "lease/".into(),
            Self::Flag(path, _) => format!("flag/{path}"),
            Self::FlagSets => "flag/".into(),
            Self::FlagSet(set, _) => format!("flag/{set}/"),
            Self::Token(accessor, _) => format!("sys/tokens/{accessor}"),
            Self::Tokens(_) => "sys/tokens/".into(),
            Self::Namespace(name, _) => format!("sys/namespaces/{name}"),
            Self::Namespaces => "sys/namespaces/".into(),
            Self::Audit => "sys/audit".into(),
            Self::Explain => "sys/explain".into(),
            Self::Reports => "sys/reports".into(),
            Self::Principal(id, _) => format!("sys/principals/{id}"),
            Self::DataKey => "sys/keys/data".into(),
            Self::SigningKey => "sys/keys/signing".into(),
            Self::Slot(name) => format!("sys/keys/slots/{name}"),
            Self::Slots => "sys/keys/slots/".into(),
            Self::Recovery => "sys/recovery".into(),
            Self::Backup => "sys/backup".into(),
        }
    }

    pub fn capability(&self) -> Capability {
        match self {
            Self::Secret(_, capability)
            | Self::Policy(_, capability)
            | Self::Role(_, capability)
            | Self::Client(_, capability)
            | Self::Operator(_, capability)
            | Self::Group(_, capability)
            | Self::Method(_, capability)
            | Self::Target(_, capability)
            | Self::LeaseRole(_, capability)
            | Self::Flag(_, capability)
            | Self::FlagSet(_, capability)
            | Self::Token(_, capability)
            | Self::Tokens(capability)
            | Self::Namespace(_, capability)
            | Self::Principal(_, capability) => *capability,
            Self::Folder(_)
            | Self::Policies
            | Self::Roles
            | Self::Clients
            | Self::Operators
            | Self::Groups
            | Self::Methods
            | Self::Targets
            | Self::LeaseRoles
            | Self::FlagSets
            | Self::Namespaces
            | Self::Slots => Capability::List,
            Self::Audit | Self::Explain | Self::Reports => Capability::Read,
            Self::DataKey | Self::SigningKey => Capability::Rotate,
            Self::Slot(_) | Self::Recovery | Self::Backup => Capability::Sudo,
        }
    }

    /// The policy path of a denial that was entered with this action and path, for want of this capability. None: nobody is denied
    /// that by a policy, or the entry does not say about what.
    pub fn path_of(action: Action, entered: &str, missing: Capability) -> Option<String> {
        let (noun, verb) = action.name().split_once('.')?;
        let root = match (noun, verb) {
            ("secret", "list") | ("watch", _) if entered.is_empty() => "secret/",
            ("secret", "list") | ("watch", _) => return Some(format!("secret/{entered}/")),
            // Of a target that the policy or role names, or of the secret that a target does: the entry names none of these.
            ("rotation" | "lease_role", "write") if missing == Capability::Rotate => return None,
            ("target", "write") if missing == Capability::Read => return None,
            // Of several at once, not one by name.
            ("secret" | "metadata" | "label", _) if entered.is_empty() => return None,
            ("secret" | "metadata" | "label" | "rotation", _) => "secret/",
            ("target", _) => "target/",
            // Of a letter by its id: whose it is stands before that.
            ("dead_letter", _) => {
                let target = entered.split('/').next().unwrap_or_default();
                return Some(format!("target/{target}"));
            }
            ("flag", _) => "flag/",
            ("flag_set", _) if entered.is_empty() => return Some(Self::FlagSets.path()),
            // What is copied is of another set, which the entry does not name.
            ("flag_set", "copy") if missing == Capability::Read => return None,
            ("flag_set", _) => return Some(format!("flag/{entered}/")),
            // Of a lease by its id: whose it is stands before that.
            ("lease" | "lease_role", _) => {
                let role = entered.split('/').next().unwrap_or_default();
                return Some(format!("lease/{role}"));
            }
            // It takes what writing takes, and what asking about others takes: only that is `read`.
            ("policy", "dry_run") if missing == Capability::Read => return Some(Self::Explain.path()),
            ("policy", _) => "sys/policies/",
            ("role", _) => "sys/roles/",
            ("client", _) => "sys/clients/",
            ("operator", _) => "sys/operators/",
            ("group", _) => "sys/groups/",
            ("method", _) => "sys/methods/",
            ("principal", _) => "sys/principals/",
            // One for another namespace, which the entry names.
            ("token", "create") if !entered.is_empty() => "sys/namespaces/",
            ("token", _) => "sys/tokens/",
            ("namespace", _) => "sys/namespaces/",
            ("report", _) => return Some(Self::Reports.path()),
            ("audit", _) => return Some(Self::Audit.path()),
            ("access", _) => return Some(Self::Explain.path()),
            ("key", "data_rotate") => return Some(Self::DataKey.path()),
            ("key", "signing_rotate") => return Some(Self::SigningKey.path()),
            ("key", "slot_read" | "slot_add" | "slot_remove") => "sys/keys/slots/",
            _ => return None,
        };
        Some(format!("{root}{entered}"))
    }

    /// The needs that a decision is asked about, given the native path.
    pub fn needs<'p>(&self, path: &'p str) -> [Need<'p>; 1] {
        Self::needs_of(path, self.capability())
    }

    /// The needs of whatever takes this capability on this native path.
    pub fn needs_of(path: &str, capability: Capability) -> [Need<'_>; 1] {
        [Need {
            layout: Layout::Native,
            path,
            capability,
        }]
    }

    /// Whether a native path is about the installation as a whole: nobody of another namespace than its own is granted it.
    pub fn is_installations(path: &str) -> bool {
        let below = ["sys/namespaces/", "sys/keys/slots/"];
        let alone = ["sys/keys/signing", "sys/recovery", "sys/backup"];
        below.iter().any(|root| path.starts_with(root)) || alone.contains(&path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_told_as_of_what_it_was_about_or_not_at_all() {
        let told = |action, missing| Access::path_of(action, "a/b", missing);
        let secret = Some("secret/a/b".to_owned());
        assert_eq!(told(Action::RotationWrite, Capability::Manage), secret);
        assert_eq!(told(Action::RotationTell, Capability::Rotate), secret);
        // Each of these is about a target or a secret that the entry does not name.
        assert_eq!(told(Action::RotationWrite, Capability::Rotate), None);
        assert_eq!(told(Action::LeaseRoleWrite, Capability::Rotate), None);
        assert_eq!(told(Action::TargetWrite, Capability::Read), None);
        let target = Some("target/a/b".to_owned());
        assert_eq!(told(Action::TargetWrite, Capability::Update), target);
        assert_eq!(told(Action::TargetRead, Capability::Read), target);
    }
}
