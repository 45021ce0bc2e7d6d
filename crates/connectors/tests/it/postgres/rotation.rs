use super::*;
use crate::cut::tries;

#[tokio::test]
async fn a_password_is_set_as_often_as_it_takes_and_never_by_an_older_order() {
    let place = Place::new();
    place.sql("COMMENT ON ROLE app IS 'owner: payments\nsince 2019'");
    assert_eq!(place.test("app", "first").await, Err(TargetError::LoginRefused));
    for _ in 0..2 {
        place.set(7, "app", None, "first").await.unwrap();
        place.test("app", "first").await.unwrap();
    }
    place.set(9, "app", None, "second").await.unwrap();
    assert_eq!(place.set(8, "app", None, "late").await, Err(TargetError::Overtaken));
    place.test("app", "second").await.unwrap();
    for password in ["first", "late", ""] {
        assert_eq!(place.test("app", password).await, Err(TargetError::LoginRefused));
    }
    let comment = "SELECT shobj_description('app'::regrole, 'pg_authid')";
    assert_eq!(place.sql(comment), "owner: payments\nsince 2019\nstrongroom order 9");
    assert_eq!(
        place.set(10, "nobody", None, "never let in").await,
        Err(TargetError::NoUser)
    );
    assert_eq!(
        place.set(10, "other", Some("nobody"), "never let in").await,
        Err(TargetError::NoUser)
    );
    assert_eq!(
        place.test("nobody", "never let in").await,
        Err(TargetError::LoginRefused)
    );
    assert!(!place.exists("other"));
}

#[tokio::test]
async fn of_many_orders_at_once_the_newest_holds() {
    let place = Place::new();
    place.cluster.create_database("shop");
    // Neither may be what a session begins with.
    place.sql(
        "ALTER ROLE strongroom_admin SET default_transaction_isolation = 'serializable';
         ALTER ROLE strongroom_admin SET default_transaction_read_only = on",
    );
    for user in ["app", "app_b"] {
        let passwords: Vec<_> = (0..8).map(|at| format!("password of {at} for {user}")).collect();
        let orders = (1_i64..=8).zip(&passwords).map(async |(fence, password)| {
            let mut server = place.server.clone();
            // Two who come by different databases meet too.
            server.database = Some(if fence % 2 == 0 { "shop" } else { "postgres" }.into());
            let verifier = place.verifier(password);
            let mut busy = 0;
            loop {
                let order = Order {
                    server: &server,
                    ..place.order(fence)
                };
                let like = (user != "app").then_some("app");
                match place.targets.set(order, user, like, &verifier).await {
                    Err(TargetError::Busy) => busy += 1,
                    Ok(()) | Err(TargetError::Overtaken) => return busy,
                    told => panic!("{told:?}"),
                }
            }
        });
        let busy: u32 = futures_util::future::join_all(orders).await.iter().sum();
        println!("{busy} times an order was told to come again");
        place.test(user, &format!("password of 7 for {user}")).await.unwrap();
        let comment = place.sql(&format!("SELECT shobj_description('{user}'::regrole, 'pg_authid')"));
        assert_eq!(comment, "strongroom order 8");
    }
}

#[tokio::test]
async fn a_second_user_acts_as_the_first_does() {
    let place = Place::new();
    place.cluster.create_database("shop");
    place.sql(
        "ALTER ROLE app SET search_path = work, \"odd, schema\", pg_catalog; ALTER ROLE app SET statement_timeout = '1234ms';
         ALTER ROLE app SET datestyle = 'SQL, DMY'; ALTER ROLE app IN DATABASE shop SET work_mem = '7MB'",
    );
    place.set(1, "app", None, "of the first").await.unwrap();
    place.set(1, "app_b", Some("app"), "of the second").await.unwrap();
    place.set(2, "app_b", Some("app"), "of the second").await.unwrap();

    let second = place.connect("app_b", "of the second", "shop").await;
    let said = |of: &'static str| async { second.query_one(of, &[]).await.unwrap().get::<_, String>(0) };
    assert_eq!(said("SELECT current_user::text").await, "app");
    assert_eq!(said("SHOW search_path").await, "work, \"odd, schema\", pg_catalog");
    assert_eq!(said("SHOW statement_timeout").await, "1234ms");
    assert_eq!(said("SHOW datestyle").await, "SQL, DMY");
    assert_eq!(said("SHOW work_mem").await, "7MB");

    let second = place.connect("app_b", "of the second", "postgres").await;
    second
        .batch_execute("CREATE TABLE work.made_by_b (n int)")
        .await
        .unwrap();
    let first = place.connect("app", "of the first", "postgres").await;
    first
        .batch_execute("ALTER TABLE work.made_by_b ADD m int; DROP TABLE work.made_by_b")
        .await
        .unwrap();
}

#[tokio::test]
async fn where_both_have_an_owner_the_second_acts_as_the_owner() {
    let place = Place::new();
    place.sql("CREATE ROLE owner; GRANT owner TO app; ALTER ROLE app SET role = owner");
    place.set(1, "app_b", Some("app"), "of the second").await.unwrap();
    let second = place.connect("app_b", "of the second", "postgres").await;
    let row = second.query_one("SELECT current_user::text", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "owner");
}

#[tokio::test]
async fn what_the_administrator_may_not_do_is_told() {
    let place = Place::new();
    assert_eq!(
        place.set(1, "postgres", None, "never let in").await,
        Err(TargetError::NotPermitted)
    );
    place.sql("ALTER ROLE strongroom_admin NOCREATEROLE");
    assert_eq!(
        place.set(1, "app", None, "never let in").await,
        Err(TargetError::NotPermitted)
    );
    assert_eq!(
        place.targets.check_template(place.order(1), "reporting").await,
        Err(TargetError::NotPermitted)
    );
    // A password was set at the start, and the log has it as a verifier.
}

#[tokio::test]
async fn an_order_that_is_cut_off_holds_whole_or_not_at_all() {
    let mut place = Place::new();
    let port = place.server.port;
    place.set(1, "app", None, "of the first").await.unwrap();
    for (at, proxy) in tries(port, 83).enumerate() {
        let password = format!("of the second, {at}");
        place.server.port = proxy.addr().port();
        let cut = place.set(2, "app_b", Some("app"), &password).await;
        place.server.port = port;
        if place.test("app_b", &password).await.is_ok() {
            let second = place.connect("app_b", &password, "postgres").await;
            let row = second.query_one("SELECT current_user::text", &[]).await.unwrap();
            assert_eq!(row.get::<_, String>(0), "app");
        } else {
            assert!(cut.is_err());
        }
        place.set(2, "app_b", Some("app"), &password).await.unwrap();
        place.test("app_b", &password).await.unwrap();
        place.revoke("app_b", "app").await.unwrap();
        if cut.is_ok() {
            assert!(at > 5, "{at} places to be cut at");
            break;
        }
    }
}

#[tokio::test]
async fn a_user_may_change_its_own_password_and_so_may_the_administrator() {
    let mut place = Place::new();
    place.set(1, "app", None, "of the app").await.unwrap();
    for username in ["app", ADMIN] {
        if username == "app" {
            place.admin = login("app", "of the app");
        } else {
            place.admin = login(ADMIN, "the administrator's own");
        }
        let password = format!("by {username} itself");
        place.set(2, username, None, &password).await.unwrap();
        place.test(username, &password).await.unwrap();
        assert_eq!(
            place.set(3, username, None, "never").await,
            Err(TargetError::LoginRefused)
        );
    }
}
