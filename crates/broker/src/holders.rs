//! Who can hold what policies grant: every role, client, operator and service token, one after the other; and browser keys,
//! which hold one thing without a policy.

use std::collections::{HashMap, VecDeque};

use strongroom_domain::flag::BrowserKey;
use strongroom_domain::grant::{Client, Operator, PersonLogin, Role, Token};
use strongroom_domain::policy::{Asker, Policy, Rule, is_template};
use strongroom_domain::{Error, Kind, Name, PrincipalId, Record, Result, Time};

use crate::Broker;
use crate::flags::fixed_policy;
use crate::standing::Standing;

/// Records read at a time.
const CHUNK: u16 = 200;

/// In the order that they are listed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderKind {
    Role,
    Client,
    Operator,
    Token,
    BrowserKey,
}

impl HolderKind {
    const ALL: [Self; 5] = [Self::Role, Self::Client, Self::Operator, Self::Token, Self::BrowserKey];

    fn kind(self) -> Kind {
        match self {
            Self::Role => Kind::Role,
            Self::Client => Kind::Client,
            Self::Operator => Kind::Operator,
            Self::Token => Kind::Token,
            Self::BrowserKey => Kind::BrowserKey,
        }
    }
}

/// Where a listing is: among which, and behind which name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    among: usize,
    after: String,
}

impl Place {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (among, after) = text.split_once(' ').unwrap_or(("0", ""));
        let among = among
            .parse()
            .map_err(|_| Error::invalid("'cursor' is not one of this listing's."))?;
        Ok(Self {
            among,
            after: after.to_owned(),
        })
    }

    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.among, self.after)
    }

    /// Behind the last.
    pub(crate) fn end() -> Self {
        Self {
            among: HolderKind::ALL.len(),
            after: String::new(),
        }
    }

    pub(crate) fn is_end(&self) -> bool {
        self.among == HolderKind::ALL.len()
    }
}

/// One of them, and what it has.
pub(crate) struct Found {
    pub(crate) kind: HolderKind,
    /// A token's is its accessor, a browser key's its id.
    pub(crate) name: String,
    /// Roles have none.
    pub(crate) principal: Option<PrincipalId>,
    pub(crate) standing: Standing,
}

/// A walk among all of them.
pub(crate) struct Holders<'a> {
    broker: &'a Broker,
    now: Time,
    place: Place,
    read: VecDeque<Record>,
    /// No more of this kind are to be read.
    last: bool,
}

impl<'a> Holders<'a> {
    pub(crate) fn from(broker: &'a Broker, now: Time, place: Place) -> Self {
        Self {
            broker,
            now,
            place,
            read: VecDeque::new(),
            last: false,
        }
    }

    /// Behind the one that was found last.
    pub(crate) fn place(&self) -> Place {
        self.place.clone()
    }

    /// None: there are no more.
    pub(crate) async fn next(&mut self) -> Result<Option<Found>> {
        while let Some(among) = HolderKind::ALL.get(self.place.among).copied() {
            if let Some(record) = self.read.pop_front() {
                self.place.after.clone_from(&record.name);
                return Ok(Some(self.broker.holder(among, record, self.now).await?));
            }
            if self.last {
                self.place.among += 1;
                self.place.after.clear();
                self.last = false;
                continue;
            }
            let (broker, after) = (self.broker, &self.place.after);
            let list = broker
                .0
                .store
                .list(self.now, broker.namespace(), among.kind(), "", after, CHUNK);
            self.read = broker.ask(list).await?.value.into();
            self.last = self.read.len() < usize::from(CHUNK);
        }
        Ok(None)
    }
}

/// Their policies, each read once.
pub(crate) struct Policies<'a> {
    broker: &'a Broker,
    read: HashMap<Name, Policy>,
}

impl<'a> Policies<'a> {
    pub(crate) fn of(broker: &'a Broker) -> Self {
        Self {
            broker,
            read: HashMap::new(),
        }
    }

    /// Those of these names that there are.
    pub(crate) async fn named(&mut self, names: &[Name]) -> Result<Vec<(Name, Policy)>> {
        let unread = names.iter().filter(|name| !self.read.contains_key(name));
        let unread: Vec<Name> = unread.cloned().collect();
        self.read.extend(self.broker.load_policies(&unread).await?.value);
        let found = names.iter();
        Ok(found
            .filter_map(|name| Some((name.clone(), self.read.get(name)?.clone())))
            .collect())
    }
}

/// What decides about a holder: those that share it are decided about once, and most share theirs with others.
pub(crate) type Shared = (Vec<Name>, Option<Asker>);

/// The names of its policies, and who it is where their rules name who has them.
pub(crate) fn shared<'r>(standing: &Standing, rules: impl IntoIterator<Item = &'r Rule>) -> Shared {
    let named = rules.into_iter().any(|rule| is_template(&rule.path));
    (standing.policies(), named.then(|| standing.asker.clone()))
}

impl Broker {
    async fn holder(&self, kind: HolderKind, record: Record, now: Time) -> Result<Found> {
        let (name, principal, standing) = match kind {
            HolderKind::Role => {
                let role = self.check::<Role>(record)?;
                let name = Name::parse(&role.record.name)?;
                (role.record.name, None, Standing::of_role(name, role.body))
            }
            HolderKind::Client => {
                let client = self.check::<Client>(record)?;
                let standing = self.standing_of_client(&client.record.name, &client.body).await?;
                (client.record.name, Some(client.body.principal), standing)
            }
            HolderKind::Operator => {
                let operator = self.check::<Operator>(record)?;
                let standing = self.standing_of_operator(&operator.record.name, &operator.body).await?;
                (operator.record.name, Some(operator.body.principal), standing)
            }
            HolderKind::Token => {
                let token = self.check::<Token>(record)?;
                let standing = self.standing_of_token(&token.body, now).await?;
                (token.record.id.to_string(), Some(token.body.principal), standing)
            }
            HolderKind::BrowserKey => {
                let key = self.check::<BrowserKey>(record)?;
                let holds = key.body.expires_at > now;
                let standing = Standing {
                    fixed: holds.then(|| fixed_policy(&key.body)),
                    ..Standing::default()
                };
                (key.record.id.to_string(), Some(key.body.principal), standing)
            }
        };
        Ok(Found {
            kind,
            name,
            principal,
            standing,
        })
    }

    /// A token that holds no more may do nothing; what one of an operator's login may do stands with the operator.
    async fn standing_of_token(&self, token: &Token, now: Time) -> Result<Standing> {
        let expired = |token: &Token| token.expires_at.is_some_and(|at| at <= now);
        if expired(token) {
            return Ok(Standing::default());
        }
        let groups = match &token.login {
            None => Vec::new(),
            Some(PersonLogin::Operator(_)) => return Ok(Standing::default()),
            Some(PersonLogin::Vouched(login)) => self.load_groups(&login.groups).await?.value,
        };
        let parents = match self.parents(token).await {
            Err(error) if error.code == strongroom_domain::Code::Unauthenticated => return Ok(Standing::default()),
            parents => parents?.value,
        };
        let principal = self.load_principal(token.principal).await?.value;
        let Some(principal) = principal.filter(|found| found.body.generation == token.generation) else {
            return Ok(Standing::default());
        };
        if parents.iter().any(|parent| expired(&parent.body)) {
            return Ok(Standing::default());
        }
        let (asker, _) = self.asker(token.principal, &principal.body).await?;
        let mut standing = Standing {
            root: token.root,
            ..Standing::own(asker, token.policies.clone())
        };
        standing.add_groups(groups)?;
        Ok(standing)
    }
}
