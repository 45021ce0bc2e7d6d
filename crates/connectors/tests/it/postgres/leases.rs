use strongroom_testkit::run_sql;

use super::*;
use crate::cut::tries;

#[tokio::test]
async fn a_leases_user_is_let_in_until_its_time_and_can_be_given_more() {
    let place = Place::new();
    place.targets.check_template(place.order(1), "reporting").await.unwrap();
    assert!(!place.exists("strongroom trial"));
    for _ in 0..2 {
        place.issue("v-1", "reporting", "of the lease", LATER).await.unwrap();
    }
    place.test("v-1", "of the lease").await.unwrap();
    let user = place.connect("v-1", "of the lease", "postgres").await;
    user.batch_execute("CREATE TABLE work.made (n int)").await.unwrap();
    let owner = "SELECT relowner::regrole FROM pg_class WHERE relname = 'made'";
    assert_eq!(place.sql(owner), "reporting");

    place.targets.extend(place.order(1), "v-1", Time(0)).await.unwrap();
    assert_eq!(place.test("v-1", "of the lease").await, Err(TargetError::LoginRefused));
    place.targets.extend(place.order(1), "v-1", LATER).await.unwrap();
    place.test("v-1", "of the lease").await.unwrap();
    let extended = place.targets.extend(place.order(1), "v-2", LATER).await;
    assert_eq!(extended, Err(TargetError::NoUser));
    // Somebody else's is not taken over.
    let taken = place.issue("app", "reporting", "never let in", LATER).await;
    assert!(matches!(taken, Err(TargetError::Refused(_))), "{taken:?}");
    assert_eq!(
        place.issue("v-3", "missing", "never let in", LATER).await,
        Err(TargetError::NoTemplate)
    );
}

#[tokio::test]
async fn a_user_who_owns_tables_in_two_databases_and_holds_a_session_is_dropped() {
    let place = Place::new();
    let shop = place.cluster.create_database("shop");
    run_sql(
        &shop,
        "CREATE SCHEMA work; GRANT ALL ON SCHEMA work TO reporting, app; SET ROLE app; CREATE TABLE work.old (n int)",
    );
    place.issue("v-1", "reporting", "of the lease", LATER).await.unwrap();
    let mut sessions = Vec::new();
    for database in ["postgres", "shop"] {
        let user = place.connect("v-1", "of the lease", database).await;
        user.batch_execute(
            "SET ROLE NONE; CREATE TABLE work.own (n int); CREATE FUNCTION work.own() RETURNS int LANGUAGE sql AS 'SELECT 1';
             ALTER DEFAULT PRIVILEGES IN SCHEMA work GRANT SELECT ON TABLES TO app",
        )
        .await
        .unwrap();
        // A lock that whoever gives the table away has to wait for.
        user.batch_execute("BEGIN; SELECT FROM work.own").await.unwrap();
        sessions.push(user);
    }
    run_sql(&shop, "GRANT SELECT ON work.old TO \"v-1\"");

    place.revoke("v-1", "reporting").await.unwrap();
    assert!(!place.exists("v-1"));
    for session in &sessions {
        assert!(session.batch_execute("SELECT 1").await.is_err());
    }
    let owners = "SELECT relowner::regrole FROM pg_class WHERE relname = 'own' UNION ALL SELECT proowner::regrole FROM pg_proc WHERE proname = 'own'";
    assert_eq!(run_sql(&shop, owners), "reporting\nreporting");
    assert_eq!(place.sql(owners), "reporting\nreporting");
    place.revoke("v-1", "reporting").await.unwrap();
}

#[tokio::test]
async fn a_revocation_that_cannot_finish_leaves_nobody_let_in_and_finishes_later() {
    let place = Place::new();
    let shop = place.cluster.create_database("shop");
    place.sql("CREATE ROLE gone; GRANT gone TO strongroom_admin WITH ADMIN OPTION");
    for (username, template) in [("v-1", "reporting"), ("v-2", "gone"), ("v-3", "reporting")] {
        place.issue(username, template, "of the lease", LATER).await.unwrap();
    }
    run_sql(&shop, "CREATE TABLE own (n int); ALTER TABLE own OWNER TO \"v-1\"");
    // By somebody of whom the administrator has no part.
    place.sql("CREATE TABLE t (n int); GRANT SELECT ON t TO \"v-3\"");
    place.sql("ALTER DATABASE shop ALLOW_CONNECTIONS false; DROP ROLE gone");
    let refused = place.revoke("v-1", "reporting").await;
    assert!(matches!(refused, Err(TargetError::Refused(_))), "{refused:?}");
    assert_eq!(place.revoke("v-2", "gone").await, Err(TargetError::NoTemplate));
    let refused = place.revoke("v-3", "reporting").await;
    assert!(matches!(refused, Err(TargetError::Refused(_))), "{refused:?}");
    for username in ["v-1", "v-2", "v-3"] {
        assert_eq!(
            place.test(username, "of the lease").await,
            Err(TargetError::LoginRefused)
        );
    }
    place.sql("ALTER DATABASE shop ALLOW_CONNECTIONS true");
    place.sql("REVOKE ALL ON t FROM \"v-3\"");
    for username in ["v-1", "v-2", "v-3"] {
        place.revoke(username, "reporting").await.unwrap();
        assert!(!place.exists(username));
    }
}

#[tokio::test]
async fn two_who_revoke_the_same_user_both_succeed_in_the_end() {
    let place = Place::new();
    place.issue("v-1", "reporting", "of the lease", LATER).await.unwrap();
    let at_once = futures_util::future::join_all((0..4).map(|_| place.revoke("v-1", "reporting"))).await;
    for answer in at_once {
        assert!(matches!(answer, Ok(()) | Err(TargetError::Busy)), "{answer:?}");
    }
    place.revoke("v-1", "reporting").await.unwrap();
    assert!(!place.exists("v-1"));
}

#[tokio::test]
async fn a_template_that_stands_for_too_much_is_refused() {
    let place = Place::new();
    place.sql(
        "CREATE ROLE maker CREATEROLE; CREATE ROLE via; GRANT maker TO via; CREATE ROLE high;
         GRANT postgres TO high; CREATE ROLE copies REPLICATION; CREATE ROLE passes BYPASSRLS; CREATE ROLE runs;
         GRANT pg_execute_server_program TO runs; CREATE ROLE reads; GRANT pg_read_server_files TO reads;
         CREATE ROLE sees; GRANT pg_read_all_data, pg_monitor TO sees;
         GRANT via, high, copies, passes, runs, reads, sees TO strongroom_admin WITH ADMIN OPTION",
    );
    for template in ["postgres", "maker", "via", "high", "copies", "passes", "runs", "reads"] {
        let refused = place.targets.check_template(place.order(1), template).await;
        assert!(
            matches!(refused, Err(TargetError::Refused(_))),
            "{template}: {refused:?}"
        );
    }
    place.targets.check_template(place.order(1), "sees").await.unwrap();
    let refused = place.targets.check_template(place.order(1), "missing").await;
    assert_eq!(refused, Err(TargetError::NoTemplate));
    // What it was given later, nobody gets by it.
    place.issue("v-1", "sees", "of the lease", LATER).await.unwrap();
    place.sql("GRANT runs TO sees");
    let refused = place.issue("v-2", "sees", "of the lease", LATER).await;
    assert!(matches!(refused, Err(TargetError::Refused(_))), "{refused:?}");
    assert!(!place.exists("v-2"));
    place.revoke("v-1", "sees").await.unwrap();
}

#[tokio::test]
async fn users_are_listed_by_prefix_in_byte_order_and_in_pages() {
    let place = Place::new();
    for name in ["v-B", "v-a", "v-é", "v-_", "v-%", "w-1"] {
        place.issue(name, "reporting", "of the lease", LATER).await.unwrap();
    }
    let page = |after: &'static str, limit| place.targets.users(place.order(1), "v-", after, limit);
    assert_eq!(page("", 9).await.unwrap(), ["v-%", "v-B", "v-_", "v-a", "v-é"]);
    assert_eq!(page("", 2).await.unwrap(), ["v-%", "v-B"]);
    assert_eq!(page("v-B", 2).await.unwrap(), ["v-_", "v-a"]);
    assert!(page("v-é", 2).await.unwrap().is_empty());
}

#[tokio::test]
async fn whatever_is_cut_off_is_done_by_the_next_try() {
    let mut place = Place::new();
    let port = place.server.port;
    let (mut issued, mut revoked) = (0, 0);
    for (at, proxy) in tries(port, 97).enumerate() {
        let password = format!("of lease {at}");
        place.server.port = proxy.addr().port();
        let cut = place.issue("v-1", "reporting", &password, LATER).await;
        place.server.port = port;
        assert!(cut.is_err() || place.test("v-1", &password).await.is_ok());
        place.issue("v-1", "reporting", &password, LATER).await.unwrap();
        let user = place.connect("v-1", &password, "postgres").await;
        user.batch_execute("SET ROLE NONE; CREATE TABLE IF NOT EXISTS work.t (n int)")
            .await
            .unwrap();
        place.revoke("v-1", "reporting").await.unwrap();
        assert!(!place.exists("v-1"));
        issued += 1;
        if cut.is_ok() {
            break;
        }
    }
    for (at, proxy) in tries(port, 97).enumerate() {
        let password = format!("of lease {at}, revoked");
        place.issue("v-1", "reporting", &password, LATER).await.unwrap();
        let user = place.connect("v-1", &password, "postgres").await;
        user.batch_execute(&format!("SET ROLE NONE; CREATE TABLE work.of_{at} (n int)"))
            .await
            .unwrap();
        place.server.port = proxy.addr().port();
        let cut = place.revoke("v-1", "reporting").await;
        place.server.port = port;
        place.revoke("v-1", "reporting").await.unwrap();
        assert!(!place.exists("v-1"), "{cut:?}");
        revoked += 1;
        if cut.is_ok() {
            break;
        }
    }
    assert!(issued > 5 && revoked > 5, "{issued} and {revoked} places to be cut at");
}

#[tokio::test]
async fn many_come_and_go_at_once() {
    let place = Place::new();
    let names: Vec<_> = (0..40).map(|at| format!("v-{at}")).collect();
    let made = names
        .iter()
        .map(|name| place.issue(name, "reporting", "of the lease", LATER));
    for made in futures_util::future::join_all(made).await {
        made.unwrap();
    }
    let gone = names.iter().map(|name| place.revoke(name, "reporting"));
    for gone in futures_util::future::join_all(gone).await {
        gone.unwrap();
    }
    let left = place.targets.users(place.order(1), "v-", "", 9).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}
