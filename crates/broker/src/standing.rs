//! What somebody may do, as records say it: by which policies, and by which way it has them.

use strongroom_domain::grant::{Client, Group, Operator, Role};
use strongroom_domain::{Code, Error, Kind, Name, PrincipalId, Result};

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
    /// What its policies may name it by. None: it has no name, as roles have none.
    pub(crate) name: Option<String>,
    pub(crate) ways: Vec<(Way, Vec<Name>)>,
}

impl Standing {
    pub(crate) fn of_session(session: &Session) -> Self {
        Self {
            root: matches!(session.grants, Grants::Root),
            ..Self::own(session.whose.name.clone(), session.whose.policies.clone())
        }
    }

    pub(crate) fn own(name: Option<String>, policies: Vec<Name>) -> Self {
        Self {
            root: false,
            name,
            ways: vec![(Way::Own, policies)],
        }
    }

    pub(crate) fn of_role(name: Name, role: Role) -> Self {
        Self {
            root: false,
            name: None,
            ways: vec![(Way::Role(name), role.policies)],
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
            name: Some(name.to_owned()),
            ..standing.unwrap_or_default()
        })
    }

    pub(crate) async fn standing_of_operator(&self, name: &str, operator: &Operator) -> Result<Standing> {
        let mut standing = Standing::own(Some(name.to_owned()), operator.policies.clone());
        standing.add_groups(self.load_groups(&operator.groups).await?.value)?;
        Ok(standing)
    }
}
