//! Somebody who writes to the database behind the program's back, in one SQL for both stores.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Row as _};
use strongroom_testkit::run_sql;

use crate::harness::{On, Store};

pub(crate) enum Sql {
    Sqlite(PathBuf),
    Postgres(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Bytes,
    Int,
    Text,
}

#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Type,
    pub(crate) nullable: bool,
}

/// A table as the database's own catalogue describes it, with its rows: bytes in hexadecimal.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) on: On,
    pub(crate) name: &'static str,
    pub(crate) key: &'static [&'static str],
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

/// A row's values, in the order of its table's columns.
pub(crate) type Row = Vec<Option<String>>;

/// Another value of a column.
#[derive(Debug, Clone)]
pub(crate) struct Flip {
    pub(crate) column: String,
    pub(crate) how: &'static str,
    pub(crate) value: Option<String>,
}

const NULL: &str = "<null>";

/// A program of PostgreSQL's newest version here.
fn program(name: &str) -> Command {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let programs = installed
        .map(|version| version.path().join("bin").join(name))
        .filter(|program| program.is_file());
    Command::new(programs.max().unwrap_or_else(|| PathBuf::from(name)))
}

/// `pg_dump` of everything.
pub(crate) fn dump(url: &str) -> Vec<u8> {
    let output = program("pg_dump").arg(url).output().expect("pg_dump runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What [`dump`] gave, into another database.
pub(crate) fn restore_dump(url: &str, dump: &[u8]) {
    use std::io::Write as _;
    let mut psql = program("psql");
    psql.args([
        "--no-psqlrc",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        "--single-transaction",
        url,
    ]);
    let mut child = psql
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("psql runs");
    child.stdin.take().unwrap().write_all(dump).unwrap();
    assert!(child.wait().unwrap().success());
}

impl Sql {
    /// `url` is PostgreSQL's own, where the store's goes through a proxy.
    pub(crate) fn of(store: &Store, url: Option<&str>) -> Self {
        match url.or(store.url.as_deref()) {
            None => Self::Sqlite(store.data_dir().join("strongroom.db")),
            // Not bound by the limits that stand with the role.
            Some(url) => Self::Postgres(format!(
                "{url}?options=-csearch_path%3Dstrongroom%20-cstatement_timeout%3D0%20-clock_timeout%3D0%20-cidle_in_transaction_session_timeout%3D0"
            )),
        }
    }

    pub(crate) fn on(&self) -> On {
        match self {
            Self::Sqlite(_) => On::Sqlite,
            Self::Postgres(_) => On::Postgres,
        }
    }

    /// Runs statements, all or none.
    pub(crate) async fn run(&self, statements: &[String]) {
        self.ask(&format!("BEGIN; {}; COMMIT", statements.join(";\n"))).await;
    }

    /// The rows of a query whose columns are text.
    pub(crate) async fn ask(&self, sql: &str) -> Vec<Vec<String>> {
        match self {
            Self::Postgres(url) => {
                let (url, sql) = (url.clone(), sql.to_owned());
                let text = tokio::task::spawn_blocking(move || run_sql(&url, &sql)).await.unwrap();
                text.lines()
                    .map(|line| line.split('|').map(str::to_owned).collect())
                    .collect()
            }
            Self::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path).disable_statement_logging();
                let mut connection = options.connect().await.unwrap();
                let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
                    .fetch_all(&mut connection)
                    .await;
                let rows = rows.unwrap_or_else(|error| panic!("{error}\n{sql}"));
                sqlx::Connection::close(connection).await.unwrap();
                rows.iter()
                    .map(|row| (0..row.len()).map(|at| row.get(at)).collect())
                    .collect()
            }
        }
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.ask(&format!("SELECT CAST(({sql}) AS TEXT)")).await[0][0]
            .parse()
            .unwrap()
    }

    pub(crate) async fn table(&self, name: &'static str, key: &'static [&'static str]) -> Table {
        let catalogue = match self.on() {
            On::Sqlite => format!(
                "SELECT name, type, CAST(1 - \"notnull\" AS TEXT) FROM pragma_table_info('{name}') ORDER BY cid"
            ),
            On::Postgres => format!(
                "SELECT column_name, data_type, CASE is_nullable WHEN 'YES' THEN 1 ELSE 0 END FROM information_schema.columns \
                 WHERE table_schema = 'strongroom' AND table_name = '{name}' ORDER BY ordinal_position"
            ),
        };
        let column = |row: Vec<String>| Column {
            name: row[0].clone(),
            kind: match row[1].to_lowercase().as_str() {
                "blob" | "bytea" => Type::Bytes,
                "integer" | "bigint" | "smallint" => Type::Int,
                "text" => Type::Text,
                other => panic!("a column of a type this test does not know: {other}"),
            },
            nullable: row[2] == "1",
        };
        let columns: Vec<Column> = self.ask(&catalogue).await.into_iter().map(column).collect();
        assert!(!columns.is_empty(), "{name} has columns");
        let texts = columns
            .iter()
            .map(|column| self.text_of(column))
            .collect::<Vec<_>>()
            .join(", ");
        let rows = self
            .ask(&format!("SELECT {texts} FROM {name} ORDER BY {}", key.join(", ")))
            .await;
        let value = |text: String| (text != NULL).then_some(text);
        let rows = rows
            .into_iter()
            .map(|row| row.into_iter().map(value).collect())
            .collect();
        Table {
            on: self.on(),
            name,
            key,
            columns,
            rows,
        }
    }

    fn text_of(&self, column: &Column) -> String {
        let name = &column.name;
        let text = match (column.kind, self.on()) {
            (Type::Bytes, On::Sqlite) => format!("lower(hex({name}))"),
            (Type::Bytes, On::Postgres) => format!("encode({name}, 'hex')"),
            _ => format!("CAST({name} AS TEXT)"),
        };
        format!("CASE WHEN {name} IS NULL THEN '{NULL}' ELSE {text} END")
    }

    /// Keeps tables as they are now, to be put back by [`Sql::restore`].
    pub(crate) async fn keep(&self, tables: &[&str]) {
        let keep = |table: &&str| format!("CREATE TABLE pristine_{table} AS SELECT * FROM {table}");
        self.run(&tables.iter().map(keep).collect::<Vec<_>>()).await;
    }

    pub(crate) fn restore(table: &str) -> Vec<String> {
        vec![
            format!("DELETE FROM {table}"),
            format!("INSERT INTO {table} SELECT * FROM pristine_{table}"),
        ]
    }
}

impl Table {
    fn at(&self, column: &str) -> usize {
        self.columns
            .iter()
            .position(|known| known.name == column)
            .unwrap_or_else(|| panic!("{}.{column}", self.name))
    }

    pub(crate) fn value<'a>(&self, row: &'a Row, column: &str) -> &'a str {
        row[self.at(column)].as_deref().unwrap_or(NULL)
    }

    /// The one row with these values.
    pub(crate) fn row(&self, values: &[(&str, &str)]) -> &Row {
        let fits = |row: &&Row| values.iter().all(|(column, value)| self.value(row, column) == *value);
        let mut found = self.rows.iter().filter(fits);
        let row = found
            .next()
            .unwrap_or_else(|| panic!("no row of {} with {values:?}", self.name));
        assert!(found.next().is_none(), "one row of {} with {values:?}", self.name);
        row
    }

    fn literal(&self, column: &str, value: Option<&str>) -> String {
        let Some(value) = value else { return "NULL".into() };
        match (self.columns[self.at(column)].kind, self.on) {
            (Type::Int, _) => value.to_owned(),
            (Type::Text, _) => format!("'{}'", value.replace('\'', "''")),
            (Type::Bytes, On::Sqlite) => format!("x'{value}'"),
            (Type::Bytes, On::Postgres) => format!("'\\x{value}'"),
        }
    }

    fn only(&self, row: &Row) -> String {
        let same = |column: &&str| format!("{column} = {}", self.literal(column, Some(self.value(row, column))));
        self.key.iter().map(same).collect::<Vec<_>>().join(" AND ")
    }

    pub(crate) fn delete(&self, row: &Row) -> String {
        format!("DELETE FROM {} WHERE {}", self.name, self.only(row))
    }

    pub(crate) fn insert(&self, row: &Row) -> String {
        let value = |column: &Column| self.literal(&column.name, row[self.at(&column.name)].as_deref());
        let values: Vec<_> = self.columns.iter().map(value).collect();
        format!("INSERT INTO {} VALUES ({})", self.name, values.join(", "))
    }

    pub(crate) fn update(&self, row: &Row, column: &str, value: Option<&str>) -> String {
        format!(
            "UPDATE {} SET {column} = {} WHERE {}",
            self.name,
            self.literal(column, value),
            self.only(row)
        )
    }

    /// `to` with every column of `from` but those named.
    pub(crate) fn overwrite(&self, from: &Row, to: &Row, but: &[&str]) -> String {
        let moved = self
            .columns
            .iter()
            .filter(|column| !but.contains(&column.name.as_str()));
        let set = moved.map(|column| {
            format!(
                "{} = {}",
                column.name,
                self.literal(&column.name, from[self.at(&column.name)].as_deref())
            )
        });
        format!(
            "UPDATE {} SET {} WHERE {}",
            self.name,
            set.collect::<Vec<_>>().join(", "),
            self.only(to)
        )
    }

    /// Every other value a column is tried with: a changed one, and nothing where there was something or the reverse.
    pub(crate) fn flips(&self, column: &Column, row: &Row) -> Vec<Flip> {
        let old = row[self.at(&column.name)].as_deref();
        let flip = |how, value| Flip {
            column: column.name.clone(),
            how,
            value,
        };
        let mut flips = Vec::new();
        match old {
            Some(old) => flips.push(flip("changed", Some(other(column.kind, old)))),
            None => flips.push(flip(
                "set",
                Some(match column.kind {
                    Type::Int => "1".into(),
                    Type::Text => "x".into(),
                    Type::Bytes => "01".repeat(16),
                }),
            )),
        }
        if column.nullable && old.is_some() {
            flips.push(flip("null", None));
        }
        flips
    }

    pub(crate) fn apply(&self, row: &Row, flip: &Flip) -> String {
        self.update(row, &flip.column, flip.value.as_deref())
    }
}

/// Differs in one bit, one, or one character.
pub(crate) fn other(kind: Type, old: &str) -> String {
    match kind {
        Type::Int => (old.parse::<i64>().unwrap() + 1).to_string(),
        Type::Text if old.ends_with('0') => format!("{}1", &old[..old.len() - 1]),
        Type::Text => {
            let mut start = old.to_owned();
            start.pop();
            format!("{start}0")
        }
        Type::Bytes if old.is_empty() => "00".into(),
        Type::Bytes => {
            let (start, last) = old.split_at(old.len() - 2);
            format!("{start}{:02x}", u8::from_str_radix(last, 16).unwrap() ^ 1)
        }
    }
}
