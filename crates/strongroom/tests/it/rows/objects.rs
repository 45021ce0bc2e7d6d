//! One object of each kind for each thing that is done to a row, and every use that is made of it.

use std::fmt;

use serde_json::{Value, json};

use crate::asks::Ask;
use crate::harness::Api;
use crate::operators::PASSWORD;
use crate::sql::{Row, Table};

/// Kinds whose rows are used by requests; the others are used at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noun {
    Secret,
    Policy,
    Role,
    Client,
    Principal,
    ChangeId,
    Operator,
    Group,
}

impl Noun {
    pub(crate) const ALL: [Self; 8] = [
        Self::Secret,
        Self::Policy,
        Self::Role,
        Self::Client,
        Self::Principal,
        Self::ChangeId,
        Self::Operator,
        Self::Group,
    ];

    /// The column `kind`.
    pub(crate) fn number(self) -> &'static str {
        match self {
            Self::Secret => "4",
            Self::Policy => "5",
            Self::Role => "6",
            Self::Client => "7",
            Self::Principal => "8",
            Self::ChangeId => "10",
            Self::Operator => "11",
            Self::Group => "12",
        }
    }

    /// The columns by which the program finds it.
    pub(crate) fn found_by(self) -> &'static [&'static str] {
        match self {
            Self::Client => &["namespace", "kind", "id"],
            // By name at its login, by id with its token.
            Self::Operator => &["namespace", "kind", "id", "name"],
            _ => &["namespace", "kind", "name"],
        }
    }
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// A workload with all that its access rests on, and a secret that it reads; an operator of a group that may too; and a
/// change id.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) stem: String,
    pub(crate) client: String,
    pub(crate) secret: String,
    pub(crate) principal: String,
    pub(crate) token: String,
    /// The operator's; where its rows are not tried, none: a password takes its time.
    pub(crate) operator: Option<String>,
}

/// What must come of a use.
#[derive(Debug, Clone)]
pub(crate) struct Use {
    pub(crate) ask: Ask,
    pub(crate) codes: &'static [&'static str],
}

pub(crate) const BROKEN: &[&str] = &["integrity_failed"];

impl Object {
    /// Names end in a letter, so that a flipped one is no other object's.
    pub(crate) async fn make(root: &Api, stem: &str) -> Self {
        let stem = format!("{stem}.x");
        let path = format!("rows/{stem}/x");
        let values = [json!({"value": "value-1"}), json!({"data": {"value": 2}})];
        for value in values {
            assert_eq!(root.put(&format!("secrets/{path}"), value).await.0, 201);
        }
        let described = json!({"description": "d", "tags": {"k": "v"}});
        assert_eq!(root.put(&format!("metadata/{path}"), described).await.0, 200);
        assert_eq!(
            root.put(&format!("labels/{path}"), json!({"label": "mine", "version": 1}))
                .await
                .0,
            200
        );
        let policy = Ask::new(root, "PUT", format!("policies/p-{stem}"), Some(rules(&stem)));
        let made = policy.with_key(&change_id(&stem)).send(root).await;
        assert_eq!(made.status, 200, "{}", made.text);
        let role = json!({"policies": [format!("p-{stem}")], "access_token_ttl": 3600});
        assert_eq!(root.put(&format!("roles/r-{stem}"), role).await.0, 200);
        let client = json!({"name": format!("c-{stem}"), "role": format!("r-{stem}")});
        let client = root.post("clients", client).await.1;
        let (client, secret) = (text(&client["client_id"]), text(&client["client_secret"]));
        let principal = text(&root.get(&format!("clients/{client}")).await.1["principal"]);
        let login = json!({"client_id": client, "client_secret": secret});
        let token = text(&root.post("auth/client/login", login).await.1["access_token"]);
        let group = json!({"policies": [format!("p-{stem}")]});
        assert_eq!(root.put(&format!("groups/g-{stem}"), group).await.0, 200);
        let name = format!("o-{stem}");
        let may = json!({"groups": [format!("g-{stem}")]});
        let operator = if stem.starts_with("operator") || stem.starts_with("group") {
            root.operator(&name, may).await;
            root.as_operator(&name, PASSWORD).await.token
        } else {
            None
        };
        Self {
            stem,
            client,
            secret,
            principal,
            token,
            operator,
        }
    }

    pub(crate) fn path(&self) -> String {
        format!("rows/{}/x", self.stem)
    }

    /// The column `name` of its record of a kind.
    pub(crate) fn name(&self, noun: Noun) -> String {
        let stem = &self.stem;
        match noun {
            Noun::Secret => self.path(),
            Noun::Policy => format!("p-{stem}"),
            Noun::Role => format!("r-{stem}"),
            Noun::Client => format!("c-{stem}"),
            Noun::Principal => self.principal.clone(),
            Noun::ChangeId => change_id(stem),
            Noun::Operator => format!("o-{stem}"),
            Noun::Group => format!("g-{stem}"),
        }
    }

    pub(crate) fn row<'t>(&self, records: &'t Table, noun: Noun) -> &'t Row {
        records.row(&[("kind", noun.number()), ("name", &self.name(noun))])
    }

    fn login(&self, root: &Api, client: &str) -> Ask {
        let login = json!({"client_id": client, "client_secret": self.secret});
        Ask::new(
            &Api {
                token: None,
                ..root.clone()
            },
            "POST",
            "auth/client/login",
            Some(login),
        )
    }

    fn read_by_operator(&self, root: &Api) -> Ask {
        let token = self.operator.clone().expect("an operator");
        Ask::get(&root.with_token(token), format!("secrets/{}", self.path()))
    }

    fn read(&self, root: &Api) -> Ask {
        Ask::get(&root.with_token(&self.token), format!("secrets/{}", self.path()))
    }

    /// Uses of the row of a kind. `lost`: it can no longer be found by what names it.
    pub(crate) fn uses(&self, root: &Api, noun: Noun, lost: bool) -> Vec<Use> {
        let (stem, client, path) = (&self.stem, &self.client, self.path());
        let get = |path: String| Ask::get(root, path);
        let ask = |method, path: String, body: Value| Ask::new(root, method, path, Some(body));
        // What grants something stands in a manifest, which says that it is there.
        let listed = !matches!(noun, Noun::Secret | Noun::Principal | Noun::ChangeId);
        let absent = |code| if lost && !listed { code } else { BROKEN };
        let (not_found, unknown, refused): (&[_], &[_], &[_]) = (
            absent(&["not_found"]),
            absent(&["unauthenticated"]),
            absent(&["login_failed"]),
        );
        let one = |ask, codes| Use { ask, codes };
        // What would make a new object, or anew, where the old is not found.
        let change = |ask| (!lost).then_some(one(ask, BROKEN));
        match noun {
            Noun::Secret => vec![
                Some(one(get(format!("secrets/{path}")), not_found)),
                Some(one(get(format!("secrets/{path}?version=1")), not_found)),
                Some(one(get(format!("versions/{path}")), not_found)),
                Some(one(get(format!("metadata/{path}")), not_found)),
                Some(one(
                    ask("POST", "batch".into(), json!({"reads": [{"path": path}]})),
                    not_found,
                )),
                Some(one(
                    ask(
                        "POST",
                        format!("versions/{path}"),
                        json!({"action": "undelete", "versions": [1]}),
                    ),
                    not_found,
                )),
                Some(one(
                    ask("PUT", format!("labels/{path}"), json!({"label": "other", "version": 1})),
                    not_found,
                )),
                Some(one(
                    ask("PATCH", format!("metadata/{path}"), json!({"owner": "o"})),
                    not_found,
                )),
                Some(one(
                    Ask::new(root, "DELETE", format!("secrets/{path}"), None),
                    not_found,
                )),
                change(ask("PUT", format!("secrets/{path}"), json!({"value": "value-3"}))),
                change(get(format!("list/rows/{stem}"))),
            ],
            Noun::Policy => vec![
                Some(one(self.read(root), absent(&["permission_denied"]))),
                Some(one(get(format!("policies/p-{stem}")), not_found)),
                Some(one(
                    Ask::new(root, "DELETE", format!("policies/p-{stem}"), None),
                    not_found,
                )),
                change(ask("PUT", format!("policies/p-{stem}"), rules(stem))),
            ],
            Noun::Role => vec![
                Some(one(self.read(root), unknown)),
                Some(one(self.login(root, client), refused)),
                Some(one(get(format!("roles/r-{stem}")), not_found)),
                Some(one(
                    Ask::new(root, "DELETE", format!("roles/r-{stem}"), None),
                    not_found,
                )),
                change(ask("PUT", format!("roles/r-{stem}"), json!({"policies": []}))),
                change(ask(
                    "POST",
                    "clients".into(),
                    json!({"name": format!("d-{stem}"), "role": format!("r-{stem}")}),
                )),
            ],
            Noun::Client => vec![
                Some(one(self.read(root), unknown)),
                Some(one(self.login(root, client), refused)),
                Some(one(get(format!("clients/{client}")), not_found)),
                Some(one(
                    ask("POST", format!("clients/{client}/secrets"), json!({})),
                    not_found,
                )),
                Some(one(
                    Ask::new(root, "DELETE", format!("clients/{client}"), None),
                    not_found,
                )),
            ],
            Noun::Principal => vec![
                Some(one(self.read(root), unknown)),
                Some(one(self.login(root, client), refused)),
                Some(one(
                    ask("POST", format!("principals/{}/erase", self.principal), json!({})),
                    not_found,
                )),
            ],
            // Not found is not used: the request is a new one then.
            Noun::ChangeId => vec![Some(one(
                ask("PUT", format!("policies/p-{stem}"), rules(stem)).with_key(&change_id(stem)),
                absent(&["ok"]),
            ))],
            Noun::Operator => vec![
                // A row that is found by one of its names still fails by the other.
                Some(one(
                    self.read_by_operator(root),
                    &["integrity_failed", "unauthenticated"],
                )),
                Some(one(
                    log_in(root, &format!("o-{stem}")),
                    absent(&["integrity_failed", "login_failed"]),
                )),
                Some(one(
                    get(format!("operators/o-{stem}")),
                    absent(&["integrity_failed", "not_found"]),
                )),
                Some(one(
                    ask(
                        "PUT",
                        format!("operators/o-{stem}/password"),
                        json!({"password": PASSWORD}),
                    ),
                    absent(&["integrity_failed", "not_found"]),
                )),
                Some(one(
                    Ask::new(root, "DELETE", format!("operators/o-{stem}"), None),
                    absent(&["integrity_failed", "not_found"]),
                )),
                change(ask("PUT", format!("operators/o-{stem}"), json!({}))),
            ],
            Noun::Group => vec![
                Some(one(self.read_by_operator(root), absent(&["permission_denied"]))),
                Some(one(get(format!("groups/g-{stem}")), not_found)),
                Some(one(
                    Ask::new(root, "DELETE", format!("groups/g-{stem}"), None),
                    not_found,
                )),
                change(ask("PUT", format!("groups/g-{stem}"), json!({"policies": []}))),
                change(ask(
                    "PUT",
                    format!("operators/d-{stem}"),
                    json!({"groups": [format!("g-{stem}")]}),
                )),
            ],
        }
        .into_iter()
        .flatten()
        .collect()
    }

    /// Uses of a row where a flipped column has put it.
    pub(crate) fn uses_there(&self, root: &Api, noun: Noun, column: &str, value: &str) -> Vec<Use> {
        let before = |name: String| format!("cursor={}&limit=1", &name[..name.len() - 1]);
        let name = self.name(noun);
        let asks = match (noun, column) {
            (Noun::Secret, "name") => vec![
                Ask::get(root, format!("secrets/{value}")),
                Ask::get(root, format!("list/rows/{}", self.stem)),
            ],
            (Noun::Policy, "name") => vec![Ask::get(root, format!("policies/{value}"))],
            (Noun::Role, "name") => vec![Ask::get(root, format!("roles/{value}"))],
            (Noun::Client, "id") => vec![Ask::get(root, format!("clients/{value}")), self.login(root, value)],
            (Noun::Principal, "name") => vec![Ask::new(
                root,
                "POST",
                format!("principals/{value}/erase"),
                Some(json!({})),
            )],
            (Noun::ChangeId, "name") => {
                vec![
                    Ask::new(
                        root,
                        "PUT",
                        format!("policies/p-{}", self.stem),
                        Some(rules(&self.stem)),
                    )
                    .with_key(value),
                ]
            }
            (Noun::Operator, "name") => vec![
                Ask::get(root, format!("operators/{value}")),
                log_in(root, value),
                self.read_by_operator(root),
            ],
            (Noun::Group, "name") => vec![Ask::get(root, format!("groups/{value}"))],
            (Noun::ChangeId, "kind") => vec![Ask::get(root, format!("operators?{}", before(name)))],
            (Noun::Operator, "kind") => vec![Ask::get(root, format!("groups?{}", before(name)))],
            // As one of the next kind: a secret among the policies, a policy among the roles, a role among the clients.
            (Noun::Secret, "kind") => vec![Ask::get(root, format!("policies?{}", before(name)))],
            (Noun::Policy, "kind") => vec![Ask::get(root, format!("roles?{}", before(name)))],
            (Noun::Role, "kind") => vec![Ask::get(root, format!("clients?{}", before(name)))],
            _ => Vec::new(),
        };
        asks.into_iter().map(|ask| Use { ask, codes: BROKEN }).collect()
    }

    /// Uses of the row of its second version, which is the current one.
    pub(crate) fn uses_of_version(&self, root: &Api) -> Vec<Use> {
        let path = self.path();
        let same = json!({"writes": [{"path": path, "data": {"value": 2}, "unless_same": true}]});
        [
            Ask::get(root, format!("secrets/{path}")),
            Ask::get(root, format!("secrets/{path}?version=2")),
            self.read(root),
            Ask::new(root, "POST", "batch", Some(json!({"reads": [{"path": path}]}))),
            Ask::new(root, "POST", "batch", Some(same)),
        ]
        .into_iter()
        .map(|ask| Use { ask, codes: BROKEN })
        .collect()
    }
}

fn log_in(root: &Api, name: &str) -> Ask {
    let login = json!({"username": name, "password": PASSWORD});
    Ask {
        token: None,
        ..Ask::new(root, "POST", "auth/password/login", Some(login))
    }
}

fn rules(stem: &str) -> Value {
    json!({"rules": [{"path": format!("secret/rows/{stem}/*"), "capabilities": ["read"]}]})
}

fn change_id(stem: &str) -> String {
    // 32 to 64 letters, digits, `_` and `-`.
    format!("{:_<40}x", stem.replace('.', "_"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("text, not {value}")).to_owned()
}
