//! What a user may beyond data, by its rules and by the groups that the server itself puts its commands in. Rules count in their
//! order: of those that are about a command the last one does.

use std::collections::{BTreeMap, BTreeSet};

use super::user::User;

/// Who administers.
pub(super) const ADMIN: &str = "admin";
const ALL: &str = "all";
/// Administration that ordinary groups of commands hold, too. Nobody becomes another by it, or sees what others have.
const ORDINARY: [&str; 5] = ["client", "lastsave", "pfdebug", "pfselftest", "role"];

/// Commands by the group that they are in; those that have others within them by the names of these, `config|get`.
pub(super) type Groups = BTreeMap<String, BTreeSet<String>>;

/// Groups that its rules speak of.
pub(super) fn groups(user: &User) -> BTreeSet<&str> {
    let named = user.rules().flatten().filter_map(|(_, what)| what.strip_prefix('@'));
    named.filter(|&group| group != ALL).collect()
}

/// Whether it may run anything that administers the server.
pub(super) fn administers(user: &User, groups: &Groups) -> bool {
    let commands = groups.get(ADMIN).into_iter().flatten();
    let mut commands = commands.filter(|command| !ORDINARY.iter().any(|ordinary| is_of(command, ordinary)));
    commands.any(|command| user.rules().any(|rules| may(rules, command, groups)))
}

fn may<'a>(rules: impl Iterator<Item = (bool, &'a str)>, command: &str, groups: &Groups) -> bool {
    rules.fold(false, |may, (gives, what)| {
        let concerns = match what.strip_prefix('@') {
            Some(ALL) => true,
            Some(group) => groups.get(group).is_some_and(|commands| commands.contains(command)),
            // A server that tells commands apart no further has a part of one given, and not the whole of it taken.
            None => is_of(command, what) || gives && is_of(what, command),
        };
        if concerns { gives } else { may }
    })
}

/// Whether a command is that one, or one within it.
fn is_of(command: &str, whole: &str) -> bool {
    command
        .strip_prefix(whole)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(of: &str) -> BTreeSet<String> {
        of.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_last_rule_about_a_command_counts_in_each_part_for_itself() {
        let admin = "acl|list acl|setuser client|kill config|get config|set pfdebug role save sync";
        let groups = Groups::from([
            (ADMIN.to_owned(), commands(admin)),
            ("dangerous".to_owned(), commands(&format!("{admin} keys"))),
            ("write".to_owned(), commands("set pfdebug")),
            ("fast".to_owned(), commands("get set role")),
        ]);
        let told = |rules: &str| administers(&User::parse(&format!("user x off {rules}")).unwrap(), &groups);
        for harmless in [
            "-@all",
            "~* -@all +get +set",
            "+@all -@admin",
            "+@all -@dangerous ~app:*",
            "-@all +@write +@fast +client +client|kill",
            "-@all +acl|whoami +configure",
            "-@all +config -config|get -config|set",
            "-@all +save -save",
            "-@all +get (~x -@all +save -@dangerous)",
        ] {
            assert!(!told(harmless), "{harmless}");
        }
        for much in [
            "+@all",
            "~* &* +@all -config|get",
            "-@all +@admin",
            "-@all +@dangerous",
            "-@all +sync",
            "-@all +config",
            "-@all +config -config|set",
            "-@all +acl|list",
            "-@all -@admin +acl|setuser",
            "+@all -@admin +save",
            "-@all +get (~x +@all)",
            "-@all -@admin (~x -@all +get) (~y -@all +sync)",
        ] {
            assert!(told(much), "{much}");
        }
        assert_eq!(
            self::groups(&User::parse("user x -@all +@read (+@all -@admin)").unwrap()),
            ["admin", "read"].into()
        );

        // As Redis 6 has it.
        let groups = Groups::from([(ADMIN.to_owned(), commands("acl config"))]);
        let told = |rules: &str| administers(&User::parse(&format!("user x off {rules}")).unwrap(), &groups);
        assert!(told("-@all +acl|list") && told("+@all -acl -config|set") && !told("+@all -acl -config"));
    }
}
