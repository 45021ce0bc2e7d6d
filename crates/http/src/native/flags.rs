use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use strongroom_api::flags::{
    ChangeFlag, CopyFlags, CountsQuery, EvaluationCount, Flag, FlagHistory, FlagSetNamed, FlagdDocument, FlagsWritten,
    SharedRules, WriteFlag, WriteSharedRules,
};
use strongroom_api::{Page, PageQuery};
use strongroom_broker::{CopyFlags as Copy, CountsAsked, FlagSetView, FlagView, SetRules, VariantCount};
use strongroom_domain::flag::{self, FlagKey, FlagSetName};
use strongroom_domain::{Error, Result};

use crate::answer::{Answer, json, no_content, ok};
use crate::body::Json;
use crate::call::{Asked, Call, FlagNamed, SetNamed, page_limit};

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn shown(key: &FlagKey, flag: flag::Flag) -> Flag {
    Flag {
        key: key.clone(),
        definition: object(flag.definition),
        bucketing_version: flag.bucketing,
        about: flag.about,
        version: flag.version,
        principal: flag.by,
        created_at: flag.created_at,
        updated_at: flag.updated_at,
    }
}

fn shown_view(view: FlagView) -> Result<Flag> {
    Ok(shown(&FlagKey::parse(&view.key)?, view.flag))
}

pub(crate) async fn list(
    Call { broker, request }: Call,
    SetNamed(set): SetNamed,
    Asked(query): Asked<PageQuery>,
) -> Answer {
    let after = query.cursor.unwrap_or_default();
    let (views, next_cursor) = broker.flags(&request, &set, &after, page_limit(query.limit)?).await?;
    ok(&Page {
        items: views.into_iter().map(shown_view).collect::<Result<Vec<_>>>()?,
        next_cursor,
    })
}

pub(crate) async fn read(Call { broker, request }: Call, FlagNamed(path): FlagNamed) -> Answer {
    ok(&shown_view(broker.flag(&request, &path).await?)?)
}

pub(crate) async fn write(
    Call { broker, request }: Call,
    FlagNamed(path): FlagNamed,
    Json(body): Json<WriteFlag>,
) -> Answer {
    let cas = body.cas;
    ok(&shown_view(broker.put_flag(&request, &path, &body.into(), cas).await?)?)
}

pub(crate) async fn delete(Call { broker, request }: Call, FlagNamed(path): FlagNamed) -> Answer {
    broker.delete_flag(&request, &path).await?;
    no_content()
}

pub(crate) async fn history(Call { broker, request }: Call, FlagNamed(path): FlagNamed) -> Answer {
    let items = broker.flag_history(&request, &path).await?;
    ok(&FlagHistory {
        items: items.into_iter().map(|flag| shown(&path.key, flag)).collect(),
    })
}

pub(crate) async fn counts(
    Call { broker, request }: Call,
    FlagNamed(path): FlagNamed,
    Asked(query): Asked<CountsQuery>,
) -> Answer {
    let asked = CountsAsked {
        since: query.since,
        until: query.until,
        after: query.cursor.unwrap_or_default(),
        limit: page_limit(query.limit)?,
    };
    let (counts, next_cursor) = broker.flag_counts(&request, &path, &asked).await?;
    let shown = |count: VariantCount| EvaluationCount {
        minute: count.minute,
        variant: count.variant,
        evaluations: count.evaluations,
        in_bulk: count.in_bulk,
    };
    ok(&Page {
        items: counts.into_iter().map(shown).collect(),
        next_cursor,
    })
}

pub(crate) async fn change(
    Call { broker, request }: Call,
    FlagNamed(path): FlagNamed,
    Json(ChangeFlag::Rollback { version }): Json<ChangeFlag>,
) -> Answer {
    ok(&shown_view(broker.roll_back_flag(&request, &path, version).await?)?)
}

pub(crate) async fn sets(Call { broker, request }: Call, Asked(query): Asked<PageQuery>) -> Answer {
    let after = query.cursor.unwrap_or_default();
    let (views, next_cursor) = broker.flag_sets(&request, &after, page_limit(query.limit)?).await?;
    let named = |view: FlagSetView| FlagSetNamed {
        project: view.project,
        environment: view.environment,
        created_at: view.set.created_at,
    };
    ok(&Page {
        items: views.into_iter().map(named).collect(),
        next_cursor,
    })
}

fn rules(view: FlagSetView) -> SharedRules {
    SharedRules {
        evaluators: view.set.evaluators,
        metadata: view.set.metadata,
        version: view.set.version,
        updated_at: view.set.updated_at,
    }
}

pub(crate) async fn read_rules(Call { broker, request }: Call, SetNamed(set): SetNamed) -> Answer {
    ok(&rules(broker.flag_set(&request, &set).await?))
}

pub(crate) async fn write_rules(
    Call { broker, request }: Call,
    SetNamed(set): SetNamed,
    Json(body): Json<WriteSharedRules>,
) -> Answer {
    let new = SetRules {
        evaluators: body.evaluators,
        metadata: body.metadata,
        cas: body.cas,
    };
    ok(&rules(broker.put_flag_set(&request, &set, &new).await?))
}

pub(crate) async fn flagd(Call { broker, request }: Call, SetNamed(set): SetNamed, headers: HeaderMap) -> Answer {
    tagged(&headers, &broker.flag_document(&request, &set).await?)
}

/// A strong tag of exactly these bytes.
pub(crate) fn tag(bytes: &[u8]) -> String {
    data_encoding::BASE64URL_NOPAD.encode(&Sha256::digest(bytes))
}

/// The tags of what the caller has already, without quotes: some send none, some call them weak.
pub(crate) fn known(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let texts = known.filter_map(|value| value.to_str().ok());
    let tags = texts.flat_map(|value| value.split(','));
    tags.map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'))
}

pub(crate) fn with_tag(mut response: Response, tag: &str) -> Answer {
    let tag = HeaderValue::try_from(format!("\"{tag}\"")).map_err(Error::internal)?;
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

/// A body with its tag, or that it is the one the caller has.
pub(crate) fn tagged(headers: &HeaderMap, body: &Value) -> Answer {
    let bytes = serde_json::to_vec(body).map_err(Error::internal)?;
    let tag = tag(&bytes);
    let response = if known(headers).any(|known| known == tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json(StatusCode::OK, body)
    };
    with_tag(response, &tag)
}

/// Definitions are flagd's; what people said about a flag that is there already stays as it is.
pub(crate) async fn import(
    Call { broker, request }: Call,
    SetNamed(set): SetNamed,
    Json(body): Json<FlagdDocument>,
) -> Answer {
    let document = serde_json::to_value(&body).map_err(Error::internal)?;
    let changed = broker.import_flags(&request, &set, &document).await?;
    ok(&FlagsWritten { changed })
}

pub(crate) async fn copy(
    Call { broker, request }: Call,
    SetNamed(set): SetNamed,
    Json(body): Json<CopyFlags>,
) -> Answer {
    let copy = Copy {
        from: FlagSetName {
            project: body.from.project,
            environment: body.from.environment,
        },
        keys: body.keys,
        overwrite: body.overwrite,
    };
    let changed = broker.copy_flags(&request, &set, &copy).await?;
    ok(&FlagsWritten { changed })
}
