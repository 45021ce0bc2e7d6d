//! Two users who take turns.

use super::*;

#[tokio::test]
async fn the_second_follows_the_first_and_never_the_first_the_second() {
    let place = Place::new();
    place.cluster.create_database("shop");
    place.sql(
        "ALTER ROLE app SET search_path = work; ALTER ROLE app SET datestyle = 'SQL, DMY';
         ALTER ROLE app IN DATABASE shop SET work_mem = '7MB'; CREATE TABLE public.late (n int)",
    );
    place.set(1, "app", None, "of the first").await.unwrap();
    place.set(1, "app_alt", Some("app"), "of the second").await.unwrap();
    place.sql(
        "GRANT INSERT ON public.late TO app; ALTER ROLE app SET search_path = public, \"odd, schema\";
         ALTER ROLE app RESET datestyle; ALTER ROLE app IN DATABASE shop SET work_mem = '9MB'",
    );
    let said = async |username: &str, password: &str, database: &str, what: &str| {
        let session = place.connect(username, password, database).await;
        session.query_one(what, &[]).await.unwrap().get::<_, String>(0)
    };
    place.set(2, "app", None, "of the first, anew").await.unwrap();
    for _ in 0..2 {
        place
            .set(2, "app_alt", Some("app"), "of the second, anew")
            .await
            .unwrap();
    }
    for (username, password) in [("app", "of the first, anew"), ("app_alt", "of the second, anew")] {
        for (database, what, expected) in [
            ("postgres", "SHOW search_path", "public, \"odd, schema\""),
            ("postgres", "SHOW datestyle", "ISO, MDY"),
            ("shop", "SHOW work_mem", "9MB"),
            ("shop", "SELECT current_user::text", "app"),
        ] {
            assert_eq!(said(username, password, database, what).await, expected, "{username}");
        }
        let session = place.connect(username, password, "postgres").await;
        session.batch_execute("INSERT INTO late VALUES (1)").await.unwrap();
    }
    // What a superuser alone may set is told, and nothing is done by halves.
    place.sql("ALTER ROLE app SET log_statement = 'none'");
    let refused = place.set(3, "app_alt", Some("app"), "never let in").await;
    assert_eq!(refused, Err(TargetError::NotPermitted));
    place.test("app_alt", "of the second, anew").await.unwrap();
    place.sql("ALTER ROLE app_alt SET log_statement = 'none'");
    place
        .set(3, "app_alt", Some("app"), "of the second, at last")
        .await
        .unwrap();
}

/// Whoever may choose the path of the first, and what is on it, does nothing by us.
#[tokio::test]
async fn a_path_with_functions_of_its_own_is_copied_and_not_followed() {
    let place = Place::new();
    place.sql(
        "CREATE TABLE public.called (who text);
         CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql
             AS $$ BEGIN INSERT INTO public.called VALUES (current_user); RETURN $2; END $$;
         CREATE FUNCTION public.current_setting(text, boolean) RETURNS text LANGUAGE plpgsql
             AS $$ BEGIN INSERT INTO public.called VALUES (current_user); RETURN $1; END $$;
         GRANT INSERT ON public.called TO PUBLIC;
         ALTER ROLE app SET search_path = public, pg_catalog; ALTER ROLE app SET work_mem = '7MB'",
    );
    place.set(1, "app", None, "of the first").await.unwrap();
    for order in 1..3 {
        place.set(order, "app_alt", Some("app"), "of the second").await.unwrap();
        place.sql("ALTER ROLE app SET work_mem = '9MB'");
    }
    assert_eq!(place.sql("SELECT count(*) FROM public.called"), "0");
}

#[tokio::test]
async fn somebody_elses_user_of_the_seconds_name_is_left_alone() {
    let place = Place::new();
    place.set(1, "app", None, "of the first").await.unwrap();
    place.set(1, "app_alt", None, "never let in").await.unwrap_err();
    place.sql("CREATE ROLE app_alt LOGIN; GRANT app_alt TO strongroom_admin WITH ADMIN OPTION");
    place.set(1, "app_alt", None, "its own").await.unwrap();
    for (name, like) in [("app_alt", "app"), ("app", "app_alt")] {
        let refused = place.set(2, name, Some(like), "never let in").await;
        assert!(matches!(refused, Err(TargetError::Refused(_))), "{refused:?}");
    }
    place.test("app_alt", "its own").await.unwrap();
    place.test("app", "of the first").await.unwrap();

    place.sql("CREATE ROLE between; GRANT app TO between; GRANT between TO app_alt");
    place.set(2, "app_alt", Some("app"), "of the second").await.unwrap();
    place.set(2, "app", None, "of the first, anew").await.unwrap();
    let second = place.connect("app_alt", "of the second", "postgres").await;
    let row = second.query_one("SELECT current_user::text", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "app");
}
