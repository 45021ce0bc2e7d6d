//! Login methods: whom this installation believes, and about whom.

use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::grant::Generation;
use strongroom_domain::method::{BUILT_IN, Method, MethodConfig, MethodSecret};
use strongroom_domain::policy::Capability;
use strongroom_domain::row::Key;
use strongroom_domain::{Error, Kind, Name, ObjectId, Result, RowRev, Time};
use strongroom_ports::At;
use zeroize::Zeroizing;

use crate::Broker;
use crate::policies::{Noun, absent, unchangeable, with_built_in};
use crate::record::Served;
use crate::request::Request;

const MAX_SECRET: usize = 8192;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MethodView {
    pub name: Name,
    pub config: MethodConfig,
    pub built_in: bool,
    /// Whether it shows a secret to the other side.
    pub has_secret: bool,
    /// None: built in.
    pub created_at: Option<Time>,
    pub updated_at: Option<Time>,
}

fn view(name: Name, method: Method) -> MethodView {
    let built_in = BUILT_IN.contains(&name.as_str());
    let at = |time: Time| Some(time).filter(|_| !built_in);
    MethodView {
        name,
        config: method.config,
        built_in,
        has_secret: method.secret.is_some(),
        created_at: at(method.created_at),
        updated_at: at(method.updated_at),
    }
}

fn all_built_in() -> Vec<MethodView> {
    let names = BUILT_IN.iter().filter_map(|name| Name::parse(name).ok());
    names
        .filter_map(|name| Some(view(name.clone(), Method::built_in(&name)?)))
        .collect()
}

fn noun(name: &Name, action: Action, capability: Capability) -> Noun<'_> {
    Noun {
        kind: Kind::Method,
        name: name.as_str(),
        action,
        access: Access::Method(name, capability),
    }
}

/// A method as it stands now.
#[derive(Clone)]
pub(crate) struct Standing {
    /// A change to it voids what rests on it; one that is built in has no row until something is written of it.
    pub(crate) key: Key,
    pub(crate) rev: Option<RowRev>,
    pub(crate) body: Method,
}

impl Broker {
    pub async fn method(&self, request: &Request, name: &Name) -> Result<MethodView> {
        let noun = noun(name, Action::MethodRead, Capability::Read);
        self.serve(request, noun.action, noun.name, |attempt| async move {
            attempt.authorise(noun.access)?;
            let found = self.load_method(name).await?.value.ok_or_else(|| absent(noun))?;
            Ok(Served::fresh(view(name.clone(), found.body)))
        })
        .await
    }

    pub async fn methods(
        &self,
        request: &Request,
        after: &str,
        limit: u16,
    ) -> Result<(Vec<MethodView>, Option<String>)> {
        let noun = Noun {
            kind: Kind::Method,
            name: "",
            action: Action::MethodRead,
            access: Access::Methods,
        };
        let (views, next) = self.list_views(request, noun, after, limit, view).await?;
        Ok(with_built_in(
            views,
            next,
            after,
            limit.into(),
            all_built_in(),
            |view| &view.name,
        ))
    }

    /// Writes the whole of it: what it shows to the other side too, so that nobody sends an old secret to a new address.
    pub async fn put_method(
        &self,
        request: &Request,
        name: &Name,
        config: MethodConfig,
        secret: Option<SecretString>,
    ) -> Result<MethodView> {
        if Method::built_in(name).is_some() {
            return self
                .refuse_built_in(request, noun(name, Action::MethodWrite, Capability::Update))
                .await;
        }
        config.check()?;
        let text = secret.as_ref().map(SecretString::expose_secret);
        if text.is_some() && !config.takes_secret() {
            return Err(Error::invalid("'secret' is shown to nobody by this method."));
        }
        if text.is_some_and(|text| text.is_empty() || text.len() > MAX_SECRET || text.contains(char::is_control)) {
            return Err(Error::invalid(format!(
                "'secret' has 1 to {MAX_SECRET} bytes, and no control characters."
            )));
        }
        let json = serde_json::to_vec(&config).map_err(Error::internal)?;
        let fingerprint = Zeroizing::new(Canon::new("method").bytes(&json).maybe_text(text).done());
        let (config, secret) = (&config, secret.as_ref());
        self.put_object(
            request,
            noun(name, Action::MethodWrite, Capability::Update),
            |capability| Access::Method(name, capability),
            &fingerprint,
            |old: Option<Method>, now| async move {
                let id = old.as_ref().map_or_else(|| self.new_id(), |old| old.id);
                let secret = secret.map(|secret| self.sealed(id, secret)).transpose()?;
                // What was had by another description of whom to believe is void.
                let same = |old: &Method| old.config == *config && old.secret.is_none() && secret.is_none();
                let generation = match &old {
                    None => Generation::first(now),
                    Some(old) if same(old) => old.generation,
                    Some(old) => old.generation.next(now),
                };
                let method = Method {
                    id,
                    config: config.clone(),
                    generation,
                    secret,
                    created_at: old.map_or(now, |old| old.created_at),
                    updated_at: now,
                };
                Ok((method.clone(), view(name.clone(), method)))
            },
        )
        .await
    }

    /// On record, like any refusal to whoever may.
    async fn refuse_built_in(&self, request: &Request, noun: Noun<'_>) -> Result<MethodView> {
        let refuse = |_: Option<Method>, _| async move { Err::<(Method, _), _>(unchangeable(noun.kind, noun.name)) };
        self.put_object(request, noun, |_| noun.access, b"", refuse).await
    }

    pub async fn delete_method(&self, request: &Request, name: &Name) -> Result<()> {
        let noun = noun(name, Action::MethodDelete, Capability::Delete);
        if Method::built_in(name).is_some() {
            return self.refuse_built_in(request, noun).await.map(drop);
        }
        self.delete_object::<Method>(request, noun).await
    }

    /// The method of this name: what is written of it, or what is built in.
    pub(crate) async fn load_method(&self, name: &Name) -> Result<At<Option<Standing>>> {
        let found = self.load::<Method>(Kind::Method, name.as_str()).await?;
        let key = self.key(Kind::Method, name.as_str());
        let stored = found.value.map(|found| (Some(found.record.rev), found.body));
        let body = stored.or_else(|| Some((None, Method::built_in(name)?)));
        Ok(At {
            value: body.map(|(rev, body)| Standing { key, rev, body }),
            revision: found.revision,
            db_now: found.db_now,
        })
    }

    fn sealed(&self, method: ObjectId, secret: &SecretString) -> Result<MethodSecret> {
        let (keys, salt) = (self.0.ring.keys.load(), self.0.entropy.bytes());
        let sealed = keys.seal_method_secret(self.namespace(), method, salt, secret.expose_secret().as_bytes());
        let (key, sealed) = sealed.map_err(Error::internal)?;
        Ok(MethodSecret {
            key,
            sealed: HEXLOWER.encode(&sealed),
        })
    }

    /// What the method shows to the other side.
    pub(crate) fn method_secret(&self, method: &Method) -> Result<Option<SecretString>> {
        let Some(secret) = &method.secret else {
            return Ok(None);
        };
        let bytes = HEXLOWER.decode(secret.sealed.as_bytes()).map_err(Error::internal)?;
        let keys = self.0.ring.keys.load();
        let opened = keys
            .open_method_secret(self.namespace(), method.id, secret.key, &bytes)
            .map_err(|error| crate::rows::broken(Kind::Method, error))?;
        let text = std::str::from_utf8(&opened).map_err(Error::internal)?;
        Ok(Some(text.into()))
    }
}
