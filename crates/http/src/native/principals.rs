use strongroom_api::principals::Erased;
use strongroom_domain::{Code, Error, PrincipalId};

use crate::answer::{Answer, ok};
use crate::call::{Call, Ids};

pub(crate) async fn erase(Call { broker, request }: Call, Ids([id]): Ids<1>) -> Answer {
    let erased_at = broker.erase_principal(&request, &id).await?;
    let principal = PrincipalId::parse(&id).ok_or_else(|| Error::from(Code::NotFound))?;
    ok(&Erased { principal, erased_at })
}
