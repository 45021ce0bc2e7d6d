//! What a template may not.

use super::*;

impl Place {
    async fn check(&self, rules: &str) -> Result<(), TargetError> {
        self.run(&format!("ACL SETUSER t reset off {rules}"));
        self.targets.check_template(self.order(), "t").await
    }
}

fn is_refused(told: &Result<(), TargetError>) -> bool {
    matches!(told, Err(TargetError::Refused(_)))
}

#[tokio::test]
async fn no_command_that_administers_is_let_through_but_those_of_ordinary_groups() {
    let Some(place) = Place::new(&[]) else { return };
    let commands = place.run("ACL CAT admin");
    assert!(commands.lines().count() > 50, "{commands}");
    for command in commands.lines() {
        let ordinary = ["client|", "lastsave", "pfdebug", "pfselftest", "role"];
        let ordinary = ordinary.iter().any(|ordinary| command.starts_with(ordinary));
        let told = place.check(&format!("+{command}")).await;
        assert_eq!(is_refused(&told), !ordinary, "{command}: {told:?}");
    }
    for rules in [
        "+@all -@admin -@dangerous ~app:*",
        "+@all -@admin ~*",
        "+@read ~app:*",
        "+@read +@write +@fast +@connection +@transaction +@pubsub +@scripting +@blocking ~* &*",
        "+@all -@admin (+get ~x)",
        "+get +info +cluster|slots +acl|whoami ~app:*",
    ] {
        place.check(rules).await.unwrap();
    }
    for rules in [
        "+sync",
        "+acl|list",
        "+acl|deluser",
        "+ACL|List",
        "+acl",
        "+cluster",
        "+@all",
        "allcommands",
        "+@admin",
        "+@dangerous",
        "+@slow",
        "+@all -@dangerous +save",
        "+get (+@all ~x)",
        "(+get ~x) (+config|get ~y)",
    ] {
        let told = place.check(rules).await;
        assert!(is_refused(&told), "{rules}: {told:?}");
    }
}

/// Three rules each, in every order.
#[tokio::test]
async fn what_the_server_would_let_it_run_is_refused() {
    let Some(place) = Place::new(&[]) else { return };
    let rules = [
        "+@all",
        "-@all",
        "-@admin",
        "-@dangerous",
        "+@slow",
        "+acl",
        "-acl|list",
        "+sync",
        "-sync",
    ];
    let commands: [&[&str]; 5] = [
        &["ACL", "LIST"],
        &["ACL", "SETUSER", "x"],
        &["SYNC"],
        &["SAVE"],
        &["CONFIG", "GET", "x"],
    ];
    let mut everybody = Talk(TcpStream::connect(("127.0.0.1", place.server.port)).await.unwrap());
    let (mut refused, mut passed) = (0, 0);
    for (a, b, c) in rules
        .iter()
        .flat_map(|a| rules.iter().map(move |b| (a, b)))
        .flat_map(|(a, b)| rules.map(|c| (a, b, c)))
    {
        assert_eq!(
            everybody.say(&["ACL", "SETUSER", "t", "reset", a, b, c]).await,
            "+OK\r\n"
        );
        let mut may = false;
        for command in commands {
            may |= everybody.say(&[&["ACL", "DRYRUN", "t"], command].concat()).await == "+OK\r\n";
        }
        let told = place.targets.check_template(place.order(), "t").await;
        assert!(told.is_ok() || is_refused(&told), "{a} {b} {c}: {told:?}");
        assert!(!may || is_refused(&told), "{a} {b} {c}");
        refused += i32::from(told.is_err());
        passed += i32::from(told.is_ok());
    }
    assert!(refused > 200 && passed > 200, "{refused} refused, {passed} not");
}
