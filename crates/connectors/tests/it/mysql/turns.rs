//! Two users who take turns.

use super::*;

impl Place {
    /// What it may, and how it has to connect.
    fn rights(&self, name: &str) -> BTreeSet<String> {
        let grants = self.mariadb.sql(&format!("SHOW GRANTS FOR {name}@'%'"));
        let hash = |word: &str| word.starts_with("'*");
        let lines = grants.lines().map(|line| {
            let words = line.split(' ').filter(|word| !hash(word));
            words.collect::<Vec<_>>().join(" ").replace(&format!("`{name}`@"), "")
        });
        lines.collect()
    }
}

#[tokio::test]
async fn the_second_follows_the_first_and_never_the_first_the_second() {
    let Some(place) = Place::new() else { return };
    place.mariadb.sql(&format!(
        "CREATE DATABASE stock; CREATE TABLE stock.t (n int); CREATE ROLE more; GRANT SELECT ON stock.* TO more;
         GRANT more TO {ADMIN}@'%' WITH ADMIN OPTION;
         GRANT INSERT ON stock.* TO {ADMIN}@'%' WITH GRANT OPTION"
    ));
    place.set("app", None, "of the first").await.unwrap();
    place.set("app_alt", Some("app"), "of the second").await.unwrap();
    let before = place.rights("app");
    assert_eq!(place.rights("app_alt"), before);

    place.mariadb.sql(
        "GRANT more TO app@'%'; GRANT INSERT ON stock.* TO app@'%'; ALTER USER app@'%' WITH MAX_USER_CONNECTIONS 7",
    );
    let widened = place.rights("app");
    assert_ne!(widened, before);
    place.set("app", None, "of the first, anew").await.unwrap();
    assert_eq!(place.rights("app"), widened);
    for _ in 0..2 {
        place.set("app_alt", Some("app"), "of the second, anew").await.unwrap();
        assert_eq!(place.rights("app_alt"), widened);
    }
    let mut second = place.connect("app_alt", "of the second, anew").await;
    second
        .query_drop("INSERT INTO stock.t VALUES (1); SET ROLE more; SELECT n FROM stock.t")
        .await
        .unwrap();

    // What the administrator cannot hand on is told, and takes nothing from anybody.
    place
        .mariadb
        .sql("GRANT DELETE ON stock.* TO app@'%'; REVOKE more FROM app@'%'");
    let refused = place.set("app_alt", Some("app"), "never let in").await;
    assert_eq!(refused, Err(TargetError::NotPermitted));
    assert!(place.rights("app_alt").is_superset(&widened));
    place.test("app_alt", "of the second, anew").await.unwrap();

    place
        .mariadb
        .sql("REVOKE DELETE, INSERT ON stock.* FROM app@'%'; ALTER USER app@'%' WITH MAX_USER_CONNECTIONS 0");
    assert_eq!(place.rights("app"), before);
    place.set("app", None, "of the first, at last").await.unwrap();
    assert_eq!(place.rights("app"), before, "what was taken stays taken");
    place
        .set("app_alt", Some("app"), "of the second, at last")
        .await
        .unwrap();
    assert_eq!(place.rights("app_alt"), before);
    let mut second = place.connect("app_alt", "of the second, at last").await;
    second.query_drop("INSERT INTO shop.t VALUES (1)").await.unwrap();
    assert!(second.query_drop("INSERT INTO stock.t VALUES (1)").await.is_err());
}

/// MariaDB lists a default role on and on that is a user's no more.
#[tokio::test]
async fn a_default_role_that_was_taken_away_is_nobodys() {
    let Some(place) = Place::new() else { return };
    place.set("app", None, "of the first").await.unwrap();
    place.set("app_alt", Some("app"), "of the second").await.unwrap();
    for change in [
        "SET DEFAULT ROLE NONE FOR app@'%'",
        "SET DEFAULT ROLE app_rights FOR app@'%'",
        "REVOKE app_rights FROM app@'%'",
    ] {
        place.mariadb.sql(change);
        for password in ["one", "the next"] {
            place.set("app_alt", Some("app"), password).await.unwrap();
            place.test("app_alt", password).await.unwrap();
        }
    }
    place.mariadb.sql("DROP USER app_alt@'%'");
    place.set("app_alt", Some("app"), "anew").await.unwrap();
    place.test("app_alt", "anew").await.unwrap();
}

#[tokio::test]
async fn somebody_elses_user_of_the_seconds_name_is_left_alone() {
    let Some(place) = Place::new() else { return };
    place.set("app", None, "of the first").await.unwrap();
    place
        .mariadb
        .sql("CREATE USER app_alt@'%' IDENTIFIED BY 'its own'; GRANT reporting TO app_alt@'%'");
    for (name, like) in [("app_alt", "app"), ("app", "app_alt")] {
        let refused = place.set(name, Some(like), "never let in").await;
        assert!(matches!(refused, Err(TargetError::Refused(_))), "{refused:?}");
    }
    place.test("app_alt", "its own").await.unwrap();
    place.test("app", "of the first").await.unwrap();
    place.set("app_alt", None, "as its operator named it").await.unwrap();

    // Two that an operator made alike are taken as they are, and kept alike by whoever made them.
    place.mariadb.sql("REVOKE reporting FROM app_alt@'%'; GRANT app_rights TO app_alt@'%'; SET DEFAULT ROLE app_rights FOR app_alt@'%'");
    place.set("app_alt", Some("app"), "of the second").await.unwrap();
    place.set("app", None, "of the first, anew").await.unwrap();
    place.mariadb.sql("GRANT reporting TO app@'%'");
    let refused = place.set("app_alt", Some("app"), "never let in").await;
    assert!(matches!(refused, Err(TargetError::Refused(_))), "{refused:?}");
}
