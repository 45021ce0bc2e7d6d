use std::net::TcpStream;
use strongroom_testkit::{Cluster, Database, run_sql};

#[test]
fn a_cluster_keeps_what_was_committed_before_a_kill() {
    let mut cluster = Cluster::start_with(&[("log_statement", "all")]);
    let url = cluster.create_database("vault");
    run_sql(&url, "CREATE TABLE t (n int); INSERT INTO t VALUES (7)");
    assert_eq!(run_sql(&url, "SHOW fsync"), "on");
    let first = cluster.pid();

    cluster.kill9();
    assert!(
        TcpStream::connect(("127.0.0.1", cluster.port())).is_err(),
        "nothing listens after the kill"
    );
    cluster.restart();

    assert_ne!(cluster.pid(), first);
    assert_eq!(run_sql(&url, "SELECT n FROM t"), "7");
    assert!(
        cluster.log().contains("INSERT INTO t"),
        "the setting reached the server"
    );
    assert!(
        cluster.log().contains("not properly shut down"),
        "the kill was no ordinary stop"
    );
}

#[test]
fn a_dropped_cluster_leaves_nothing() {
    let cluster = Cluster::start();
    let (pid, folder, port) = (cluster.pid(), cluster.data_dir(), cluster.port());
    drop(cluster);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(!folder.exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn every_fresh_database_is_its_own_and_goes_with_its_value() {
    let (first, second) = (Database::fresh(), Database::fresh());
    run_sql(first.url(), "CREATE TABLE t (n int)");
    assert_eq!(
        run_sql(second.url(), "SELECT count(*) FROM pg_tables WHERE tablename = 't'"),
        "0"
    );
    let name = first.url().rsplit('/').next().unwrap().to_owned();
    drop(first);
    let left = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(run_sql(second.url(), &left), "0");
}
