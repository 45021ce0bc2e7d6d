//! Who may do something: every role, client, operator and service token, with the rule that decides.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::grant::{PersonLogin, Client, Operator, Role, Token};
use strongroom_domain::policy::{
    Capability, Deciding, Decision, Policy, explain, explain_anywhere, for_principal, is_template,
};
use strongroom_domain::{Error, Kind, Name, PrincipalId, Record, Result, Time};

use crate::Broker;
use crate::record::Served;
use crate::request::Request;
use crate::standing::{Standing, Way};

/// Records read at a time.
const CHUNK: u16 = 200;

#[derive(Debug, Clone)]
pub struct WhoCanQuery {
    pub capability: Capability,
    /// With its root.
    pub path: String,
    /// None: from anywhere.
    pub from: Option<IpAddr>,
    /// The cursor of an earlier page; empty: from the start.
    pub after: String,
    pub limit: u16,
}

/// In the order that they are listed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderKind {
    Role,
    Client,
    Operator,
    Token,
}

impl HolderKind {
    const ALL: [Self; 4] = [Self::Role, Self::Client, Self::Operator, Self::Token];

    fn kind(self) -> Kind {
        match self {
            Self::Role => Kind::Role,
            Self::Client => Kind::Client,
            Self::Operator => Kind::Operator,
            Self::Token => Kind::Token,
        }
    }
}

/// Who may.
#[derive(Debug, Clone)]
pub struct Holder {
    pub kind: HolderKind,
    /// A token's is its accessor.
    pub name: String,
    /// Roles have none.
    pub principal: Option<PrincipalId>,
    /// None: it may do everything, as root.
    pub deciding: Option<Deciding>,
    /// How it comes by the policies that decide.
    pub through: Vec<Way>,
}

#[derive(Debug)]
pub struct WhoCanPage {
    pub items: Vec<Holder>,
    pub next: Option<String>,
}

/// Where a listing is: among which, and behind which name.
struct Place {
    among: usize,
    after: String,
}

impl Place {
    fn parse(text: &str) -> Result<Self> {
        let (among, after) = text.split_once(' ').unwrap_or(("0", ""));
        let among = among.parse().map_err(Error::internal)?;
        Ok(Self {
            among,
            after: after.to_owned(),
        })
    }

    fn text(&self) -> String {
        format!("{} {}", self.among, self.after)
    }
}

impl Broker {
    pub async fn who_can(&self, request: &Request, query: &WhoCanQuery) -> Result<WhoCanPage> {
        self.serve(request, Action::WhoCan, &query.path, |attempt| async move {
            attempt.authorise(Access::Explain)?;
            let mut asking = Asking {
                broker: self,
                query,
                now: attempt.now,
                policies: HashMap::new(),
                decided: HashMap::new(),
            };
            let mut place = Place::parse(&self.open_cursor(&query.after)?)?;
            // In no other namespace does anybody hold what is the installation's.
            if Access::is_installations(&query.path) && !attempt.session.home.is_root {
                place.among = HolderKind::ALL.len();
            }
            let items = asking.page(&mut place).await?;
            let more = place.among < HolderKind::ALL.len();
            let next = more.then(|| self.seal_cursor(&place.text())).transpose()?;
            Ok(Served::fresh(WhoCanPage { items, next }))
        })
        .await
    }
}

struct Asking<'a> {
    broker: &'a Broker,
    query: &'a WhoCanQuery,
    now: Time,
    /// Those that were read.
    policies: HashMap<Name, Policy>,
    /// What each list of policies comes to, and for whom where they name who has them: most holders share theirs with others.
    decided: HashMap<(Vec<Name>, Option<String>), Option<Deciding>>,
}

impl Asking<'_> {
    /// Goes on until the page is full, or has taken long, and leaves `place` where the next begins.
    async fn page(&mut self, place: &mut Place) -> Result<Vec<Holder>> {
        let (mut items, began) = (Vec::new(), Instant::now());
        let broker = self.broker;
        while let Some(among) = HolderKind::ALL.get(place.among).copied() {
            let asked = broker
                .0
                .store
                .list(self.now, broker.namespace(), among.kind(), "", &place.after, CHUNK);
            let found = broker.ask(asked).await?.value;
            let last = found.len() < usize::from(CHUNK);
            for record in found {
                if items.len() == usize::from(self.query.limit) {
                    return Ok(items);
                }
                place.after.clone_from(&record.name);
                items.extend(self.holder(among, record).await?);
            }
            if last {
                place.among += 1;
                place.after.clear();
            }
            if began.elapsed() >= broker.0.settings.audit_deadline {
                break;
            }
        }
        Ok(items)
    }

    /// None: it may not.
    async fn holder(&mut self, kind: HolderKind, record: Record) -> Result<Option<Holder>> {
        let broker = self.broker;
        let (name, principal, standing) = match kind {
            HolderKind::Role => {
                let role = broker.check::<Role>(record)?;
                let name = Name::parse(&role.record.name)?;
                (role.record.name, None, Standing::of_role(name, role.body))
            }
            HolderKind::Client => {
                let client = broker.check::<Client>(record)?;
                let standing = broker.standing_of_client(&client.record.name, &client.body).await?;
                (client.record.name, Some(client.body.principal), standing)
            }
            HolderKind::Operator => {
                let operator = broker.check::<Operator>(record)?;
                let standing = broker
                    .standing_of_operator(&operator.record.name, &operator.body)
                    .await?;
                (operator.record.name, Some(operator.body.principal), standing)
            }
            HolderKind::Token => {
                let token = broker.check::<Token>(record)?;
                let standing = self.standing_of_token(&token.body).await?;
                (token.record.id.to_string(), Some(token.body.principal), standing)
            }
        };
        let deciding = if standing.root {
            None
        } else {
            match self.decide(&standing).await? {
                Some(deciding) => Some(deciding),
                None => return Ok(None),
            }
        };
        Ok(Some(Holder {
            kind,
            name,
            principal,
            through: deciding
                .as_ref()
                .map_or_else(Vec::new, |deciding| standing.through(&deciding.policies)),
            deciding,
        }))
    }

    /// A token that holds no more may do nothing; what one of an operator's login may do stands with the operator.
    async fn standing_of_token(&self, token: &Token) -> Result<Standing> {
        let expired = |token: &Token| token.expires_at.is_some_and(|at| at <= self.now);
        if expired(token) {
            return Ok(Standing::default());
        }
        let groups = match &token.login {
            None => Vec::new(),
            Some(PersonLogin::Operator(_)) => return Ok(Standing::default()),
            Some(PersonLogin::Vouched(login)) => self.broker.load_groups(&login.groups).await?.value,
        };
        let parents = match self.broker.parents(token).await {
            Err(error) if error.code == strongroom_domain::Code::Unauthenticated => return Ok(Standing::default()),
            parents => parents?.value,
        };
        let principal = self.broker.load_principal(token.principal).await?.value;
        let Some(principal) = principal.filter(|found| found.body.generation == token.generation) else {
            return Ok(Standing::default());
        };
        if parents.iter().any(|parent| expired(&parent.body)) {
            return Ok(Standing::default());
        }
        let mut standing = Standing {
            root: token.root,
            ..Standing::own(principal.body.name, token.policies.clone())
        };
        standing.add_groups(groups)?;
        Ok(standing)
    }

    async fn decide(&mut self, standing: &Standing) -> Result<Option<Deciding>> {
        let names = standing.policies();
        let unread: Vec<Name> = names
            .iter()
            .filter(|name| !self.policies.contains_key(name))
            .cloned()
            .collect();
        self.policies.extend(self.broker.load_policies(&unread).await?.value);
        let policies: Vec<(Name, Policy)> = names
            .iter()
            .filter_map(|name| Some((name.clone(), self.policies.get(name)?.clone())))
            .collect();
        let rules = || policies.iter().flat_map(|(_, policy)| &policy.rules);
        let named = rules().any(|rule| is_template(&rule.path));
        let key = (names, standing.name.clone().filter(|_| named));
        if let Some(decided) = self.decided.get(&key) {
            return Ok(decided.clone());
        }
        let policies = for_principal(policies, standing.name.as_deref());
        let needs = Access::needs_of(&self.query.path, self.query.capability);
        let explanation = match self.query.from {
            None => explain_anywhere(&policies, &needs),
            from => explain(&policies, &needs, from),
        };
        let allowed = explanation.decision == Decision::Allow;
        let decided = explanation.deciding.filter(|_| allowed);
        self.decided.insert(key, decided.clone());
        Ok(decided)
    }
}
