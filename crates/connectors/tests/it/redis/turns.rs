//! Two users who take turns.

use super::*;

impl Place {
    fn rights(&self, name: &str) -> String {
        let list = self.run("ACL LIST");
        let mut lines = list
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("user {name} ")));
        let words = lines.next().unwrap().split(' ').skip(1);
        let words: Vec<_> = words
            .filter(|word| !word.starts_with('#') && *word != "sanitize-payload")
            .collect();
        words.join(" ")
    }
}

#[tokio::test]
async fn the_second_follows_the_first_and_never_the_first_the_second() {
    let Some(mut place) = Place::new(&["--aclfile", "users.acl"]) else {
        return;
    };
    place.set("app", None, "of the first").await.unwrap();
    place.set("app_alt", Some("app"), "one").await.unwrap();
    place.run("ACL SETUSER app ~stock:* +hset");
    let widened = place.rights("app");
    place.set("app", None, "of the first, anew").await.unwrap();
    assert_eq!(place.rights("app"), widened);
    // Whose second it is, is kept with the user.
    place.redis.kill9();
    place.redis.restart();
    place.server.port = place.redis.port();
    place.set("app_alt", Some("app"), "two").await.unwrap();
    let mut second = place.connect("app_alt", "two").await;
    assert_eq!(second.say(&["SET", "stock:1", "x"]).await, "+OK\r\n");
    for password in ["one", "two"] {
        place.test("app_alt", password).await.unwrap();
    }

    place.run("ACL SETUSER app -set");
    let narrowed = place.rights("app");
    place.set("app", None, "of the first, at last").await.unwrap();
    assert_eq!(place.rights("app"), narrowed, "what was taken stays taken");
    place.set("app_alt", Some("app"), "three").await.unwrap();
    assert_eq!(place.rights("app_alt"), narrowed);
    assert!(second.say(&["SET", "stock:1", "x"]).await.starts_with("-NOPERM"));
    assert_eq!(place.test("app_alt", "one").await, Err(TargetError::LoginRefused));
    place.test("app_alt", "two").await.unwrap();

    place.run("ACL SETUSER app_alt off");
    place.set("app_alt", Some("app"), "four").await.unwrap();
    assert_eq!(place.test("app_alt", "four").await, Err(TargetError::LoginRefused));
}

#[tokio::test]
async fn somebody_elses_user_of_the_seconds_name_is_left_alone() {
    let Some(place) = Place::new(&["--aclfile", "users.acl"]) else {
        return;
    };
    place.set("app", None, "of the first").await.unwrap();
    place.run("ACL SETUSER app_alt on ~* -@all +get >own");
    for (name, like) in [("app_alt", "app"), ("app", "app_alt")] {
        let refused = place.set(name, Some(like), "never let in").await;
        assert!(matches!(refused, Err(TargetError::Refused(_))), "{refused:?}");
    }
    place.test("app_alt", "own").await.unwrap();
    place.test("app", "of the first").await.unwrap();
    place.set("app_alt", None, "as its operator named it").await.unwrap();

    // Two that an operator made alike are taken as they are, and kept alike by whoever made them.
    place.run(&format!("ACL SETUSER app_alt reset on {}", place.rights("app")));
    place.set("app_alt", Some("app"), "of the second").await.unwrap();
    place.set("app", None, "of the first, anew").await.unwrap();
    place.run("ACL SETUSER app +hset");
    let refused = place.set("app_alt", Some("app"), "never let in").await;
    assert!(matches!(refused, Err(TargetError::Refused(_))), "{refused:?}");
}
