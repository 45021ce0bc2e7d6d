use super::*;

/// `what`, up to 63 bytes.
fn filled(what: &str) -> String {
    format!("{what}{}", "x".repeat(63 - what.len()))
}

#[tokio::test]
async fn hostile_names_are_made_and_dropped_cleanly() {
    let place = Place::new();
    let names = [
        "a\"b",
        "\"",
        "a'b",
        "'; DROP ROLE app; --",
        "back\\slash\\'",
        "$$",
        "new\nline",
        "é☃𐀀",
        " ",
        "%s",
        "role",
        "x=y,\"z\"",
    ];
    let longest = [filled("\""), filled("'"), filled("☃")];
    for name in names.into_iter().chain(longest.iter().map(String::as_str)) {
        let template = if name.len() < 60 {
            format!("{name} t")
        } else {
            name.replace('x', "y")
        };
        let (quoted, schema) = (template.replace('"', "\"\""), name.replace('"', "\"\""));
        place.sql(&format!(
            "CREATE ROLE \"{quoted}\"; GRANT \"{quoted}\" TO {ADMIN} WITH ADMIN OPTION; CREATE SCHEMA \"{schema}\" AUTHORIZATION \"{quoted}\";
             ALTER ROLE \"{quoted}\" SET search_path = \"{schema}\""
        ));
        place.targets.check_template(place.order(1), &template).await.unwrap();
        place.issue(name, &template, "of the lease", LATER).await.unwrap();
        let user = place.connect(name, "of the lease", "postgres").await;
        user.batch_execute("CREATE TABLE in_schema (n int); SET ROLE NONE; CREATE TABLE own (n int)")
            .await
            .unwrap();
        let row = user
            .query_one("SELECT session_user::text, current_schema()::text", &[])
            .await
            .unwrap();
        assert_eq!((row.get(0), row.get(1)), (name, name));
        let listed = place.targets.users(place.order(1), name, "", 1).await.unwrap();
        assert_eq!(listed, [name]);
        place.set(2, name, None, "rotated").await.unwrap();
        place.test(name, "rotated").await.unwrap();
        place.revoke(name, &template).await.unwrap();
        assert!(!place.exists(name), "{name:?}");
        place.sql(&format!("DROP SCHEMA \"{schema}\" CASCADE; DROP ROLE \"{quoted}\""));
    }
    place.set(1, "app", None, "still there").await.unwrap();
}

#[tokio::test]
async fn names_that_cannot_be_are_refused_with_the_limit() {
    let place = Place::new();
    for name in ["", "a\0b", "pg_x", "public", "none", &"x".repeat(64), &"é".repeat(32)] {
        let refused = place.issue(name, "reporting", "never let in", LATER).await;
        assert!(matches!(refused, Err(TargetError::Name(_))), "{name:?}: {refused:?}");
        let refused = place.set(1, name, Some("app"), "never let in").await;
        assert!(matches!(refused, Err(TargetError::Name(_))), "{name:?}: {refused:?}");
    }
    for template in ["", "a\0b", &"x".repeat(64)] {
        let refused = place.targets.check_template(place.order(1), template).await;
        assert!(
            matches!(refused, Err(TargetError::Name(_))),
            "{template:?}: {refused:?}"
        );
    }
}
