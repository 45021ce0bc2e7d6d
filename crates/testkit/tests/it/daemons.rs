use std::net::TcpStream;
use strongroom_testkit::{MariaDb, Redis};

#[test]
fn mariadb_keeps_what_was_committed_before_a_kill_and_leaves_nothing() {
    let Some(mut server) = MariaDb::start(&["--general-log=1"]) else {
        return;
    };
    server.sql("CREATE DATABASE vault; CREATE TABLE vault.t (n int); INSERT INTO vault.t VALUES (7)");
    server.kill9();
    assert!(TcpStream::connect(("127.0.0.1", server.port())).is_err());
    server.restart();
    assert_eq!(server.sql("SELECT n, 'é☃' FROM vault.t"), "7\té☃");
    assert!(
        server.log().contains("INSERT INTO vault.t"),
        "the option reached the server"
    );
    let (folder, port) = (server.data_dir(), server.port());
    drop(server);
    assert!(!folder.exists() && TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn redis_keeps_its_users_where_told_and_leaves_nothing() {
    let Some(mut server) = Redis::start(&["--aclfile", "users.acl"]) else {
        return;
    };
    server.run(&["ACL", "SETUSER", "app", "on"]);
    assert_eq!(server.run(&["ACL", "SAVE"]), "OK");
    server.kill9();
    server.restart();
    assert_eq!(server.run(&["ACL", "USERS"]), "app\ndefault");
    let (folder, port) = (server.folder().to_owned(), server.port());
    drop(server);
    assert!(!folder.exists() && TcpStream::connect(("127.0.0.1", port)).is_err());
}
