//! What somebody may do, as records say it: by which policies, and by which way it has them.

use strongroom_domain::grant::{Client, Group, Operator, Principal, PrincipalKind, Role};
use strongroom_domain::policy::{Asker, Policy};
use strongroom_domain::row::Key;
use strongroom_domain::{Code, Error, Kind, Name, PrincipalId, Result, Revision};

use crate::Broker;
use crate::rows::Checked;
use crate::session::{Grants, Session};

/// How somebody comes by policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// They stand with itself.
    Own,
    Group(Name),
    Role(Name),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// It may do everything.
    pub(crate) root: bool,
    /// What its policies may name it by: nothing where it is a role.
    pub(crate) asker: Asker,
    pub(crate) ways: Vec<(Way, Vec<Name>)>,
    /// What it may do without any policy: a browser key.
    pub(crate) fixed: Option<Policy>,
}

impl Standing {
    pub(crate) fn own(asker: Asker, policies: Vec<Name>) -> Self {
        Self {
            root: false,
            asker,
            ways: vec![(Way::Own, policies)],
            fixed: None,
        }
    }

    pub(crate) fn of_role(name: Name, role: Role) -> Self {
        Self {
            root: false,
            asker: Asker::default(),
            ways: vec![(Way::Role(name), role.policies)],
            fixed: None,
        }
    }

    pub(crate) fn add_groups(&mut self, groups: Vec<Checked<Group>>) -> Result<()> {
        for group in groups {
            let name = Name::parse(&group.record.name)?;
            self.ways.push((Way::Group(name), group.body.policies));
        }
        Ok(())
    }

    /// Each once, in name order.
    pub(crate) fn policies(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self.ways.iter().flat_map(|(_, names)| names.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// By which ways it has any of these policies.
    pub(crate) fn through(&self, policies: &[Name]) -> Vec<Way> {
        let ways = self.ways.iter();
        let some = ways.filter(|(_, names)| names.iter().any(|name| policies.contains(name)));
        some.map(|(way, _)| way.clone()).collect()
    }
}

impl Broker {
    pub(crate) async fn standing_of_session(&self, session: &Session) -> Result<Standing> {
        let found = self.load_principal(session.principal).await?.value;
        let asker = match found {
            Some(found) => self.asker(session.principal, &found.body).await?.0,
            None => Asker::default(),
        };
        Ok(Standing {
            root: matches!(session.grants, Grants::Root),
            ..Standing::own(asker, session.whose.policies.clone())
        })
    }

    /// What policies may name a principal by, and the row that says so of a client's or an operator's, as of when it was read.
    pub(crate) async fn asker(
        &self,
        id: PrincipalId,
        principal: &Principal,
    ) -> Result<(Asker, Option<(Key, Revision)>)> {
        let name = principal.name.as_deref();
        let Some(own) = name.and_then(|name| Name::parse(name).ok()) else {
            return Ok((Asker::default(), None));
        };
        let (kind, metadata, read_at) = match principal.kind {
            PrincipalKind::Workload => {
                let found = self.load::<Client>(Kind::Client, own.as_str()).await?;
                let own = found.value.filter(|client| client.body.principal == id);
                (Kind::Client, own.map(|client| client.body.metadata), found.revision)
            }
            PrincipalKind::Operator => {
                let found = self.load_operator(&own).await?;
                let own = found.value.filter(|operator| operator.body.principal == id);
                (
                    Kind::Operator,
                    own.map(|operator| operator.body.metadata),
                    found.revision,
                )
            }
        };
        let row = (self.key(kind, own.as_str()), read_at);
        Ok((Asker::new(name, metadata.unwrap_or_default()), Some(row)))
    }

    /// Of a client or an operator. What any other principal may do is said by each of its tokens.
    pub(crate) async fn standing_of(&self, principal: PrincipalId) -> Result<Standing> {
        let absent = || Error::new(Code::NotFound, "There is no such principal.");
        let found = self.load_principal(principal).await?.value.ok_or_else(absent)?;
        if let Some(name) = found.body.name {
            let client = self.load::<Client>(Kind::Client, &name).await?.value;
            if let Some(client) = client.filter(|client| client.body.principal == principal) {
                return self.standing_of_client(&name, &client.body).await;
            }
            let operator = self.load::<Operator>(Kind::Operator, &name).await?.value;
            if let Some(operator) = operator.filter(|operator| operator.body.principal == principal) {
                return self.standing_of_operator(&name, &operator.body).await;
            }
        }
        Err(Error::invalid(
            "The principal is neither a client's nor an operator's, or its name was erased: what it may do is said by its \
             tokens and roles, which 'who-can' lists.",
        ))
    }

    /// A client of a role that is gone may do nothing.
    pub(crate) async fn standing_of_client(&self, name: &str, client: &Client) -> Result<Standing> {
        let role = self.load_role(&client.role).await?.value;
        let standing = role.map(|role| Standing::of_role(client.role.clone(), role.body));
        Ok(Standing {
            asker: Asker::new(Some(name), client.metadata.clone()),
            ..standing.unwrap_or_default()
        })
    }

    pub(crate) async fn standing_of_operator(&self, name: &str, operator: &Operator) -> Result<Standing> {
        let asker = Asker::new(Some(name), operator.metadata.clone());
        let mut standing = Standing::own(asker, operator.policies.clone());
        standing.add_groups(self.load_groups(&operator.groups).await?.value)?;
        Ok(standing)
    }
}
