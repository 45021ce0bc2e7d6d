use strongroom_api::tokens::{CreateToken, Created, Introspect, Introspected, Revoke, Token, WhichToken};
use strongroom_api::{Page, PageQuery};
use strongroom_broker::{NewToken, TokenRef, TokenView};
use strongroom_domain::{Error, ObjectId, Result};

use crate::answer::{Answer, created, no_content, ok};
use crate::body::{FormOrJson, Json};
use crate::call::{Asked, Call, page_limit};

fn shown(view: TokenView) -> Token {
    Token {
        accessor: view.accessor,
        principal: view.principal,
        root: view.root,
        login: view.login,
        policies: view.policies,
        depth: view.depth,
        created_at: view.created_at,
        expires_at: view.expires_at,
        renewable: view.renewable,
        renewable_until: view.renewable_until,
        uses: view.uses,
        networks: view.networks,
        metadata: view.metadata,
    }
}

fn which(token: Option<secrecy::SecretString>, accessor: Option<ObjectId>) -> Result<TokenRef> {
    match (token, accessor) {
        (None, None) => Ok(TokenRef::Own),
        (Some(token), None) => Ok(TokenRef::Text(token)),
        (None, Some(accessor)) => Ok(TokenRef::Accessor(accessor)),
        (Some(_), Some(_)) => Err(Error::invalid(
            "'token' and 'accessor' name one token each: say one of them.",
        )),
    }
}

pub(crate) async fn create(Call { broker, request }: Call, Json(body): Json<CreateToken>) -> Answer {
    let new = NewToken {
        policies: body.policies,
        ttl: body.ttl,
        period: body.period,
        max_ttl: body.max_ttl,
        renewable: body.renewable,
        uses: body.uses,
        networks: body.networks,
        metadata: body.metadata,
    };
    let made = broker.create_token(&request, &new).await?;
    created(&Created {
        token: made.token.into(),
        told: shown(made.view),
    })
}

pub(crate) async fn list(Call { broker, request }: Call, Asked(query): Asked<PageQuery>) -> Answer {
    let after = query.cursor.unwrap_or_default();
    let (views, next_cursor) = broker.tokens(&request, &after, page_limit(query.limit)?).await?;
    ok(&Page {
        items: views.into_iter().map(shown).collect(),
        next_cursor,
    })
}

pub(crate) async fn renew(Call { broker, request }: Call, Json(body): Json<WhichToken>) -> Answer {
    let which = which(body.token, body.accessor)?;
    ok(&shown(broker.renew_token(&request, &which).await?))
}

pub(crate) async fn look_up(Call { broker, request }: Call, Json(body): Json<WhichToken>) -> Answer {
    let which = which(body.token, body.accessor)?;
    ok(&shown(broker.look_up_token(&request, &which).await?))
}

pub(crate) async fn revoke(Call { broker, request }: Call, Json(body): Json<Revoke>) -> Answer {
    use strongroom_broker::Revoke as What;
    let one = body.token.is_some() || body.accessor.is_some();
    let all = [
        body.principal.map(What::Principal),
        body.client_id.map(What::Client),
        body.role.map(What::Role),
    ];
    let mut all = all.into_iter().flatten();
    let what = match (all.next(), all.next()) {
        (None, _) => What::Token(which(body.token, body.accessor)?),
        (Some(what), None) if !one => what,
        _ => return Err(Error::invalid("Say one field, of the tokens that shall end.").into()),
    };
    broker.revoke(&request, &what).await?;
    no_content()
}

pub(crate) async fn introspect(Call { broker, request }: Call, FormOrJson(body): FormOrJson<Introspect>) -> Answer {
    let Some(found) = broker.introspect(&request, &body.token).await? else {
        return ok(&Introspected::default());
    };
    let policies: Vec<&str> = found.policies.iter().map(strongroom_domain::Name::as_str).collect();
    ok(&Introspected {
        active: true,
        sub: Some(found.principal),
        username: found.name,
        client_id: found.client_id,
        token_type: Some("Bearer".into()),
        scope: Some(policies.join(" ")),
        jti: Some(found.accessor),
        exp: found.expires_at.map(strongroom_domain::Time::seconds),
        iat: found.created_at.map(strongroom_domain::Time::seconds),
    })
}
