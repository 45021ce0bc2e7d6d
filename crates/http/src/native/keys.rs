use strongroom_api::keys::{NewSlot, RotateSigningKey, Rotated, Slot, SlotAdded, Slots};
use strongroom_broker::SlotView;
use strongroom_domain::{Name, Result};

use crate::answer::{Answer, created, no_content, ok};
use crate::body::Json;
use crate::call::{Call, Named};

fn shown(view: &SlotView) -> Result<Slot> {
    Ok(Slot {
        name: Name::parse(&view.name)?,
        method: view.method,
        created_at: view.created_at,
    })
}

pub(crate) async fn slots(Call { broker, request }: Call) -> Answer {
    let slots = broker.slots(&request).await?;
    ok(&Slots {
        items: slots.iter().map(shown).collect::<Result<_>>()?,
    })
}

pub(crate) async fn add_slot(Call { broker, request }: Call, Json(body): Json<NewSlot>) -> Answer {
    let new = strongroom_broker::NewSlot {
        name: body.name.clone(),
        method: body.method,
        passphrase: body.passphrase,
    };
    let added = broker.add_slot(&request, new).await?;
    created(&SlotAdded {
        name: body.name,
        method: body.method,
        created_at: added.slot.created_at,
        key: added.key,
    })
}

pub(crate) async fn remove_slot(Call { broker, request }: Call, Named(name): Named<1>) -> Answer {
    broker.remove_slot(&request, &name).await?;
    no_content()
}

pub(crate) async fn rotate_data(Call { broker, request }: Call) -> Answer {
    ok(&Rotated {
        epoch: broker.rotate_data_key(&request).await?,
    })
}

pub(crate) async fn rotate_signing(Call { broker, request }: Call, Json(body): Json<RotateSigningKey>) -> Answer {
    broker.rotate_signing_key(&request, body.end_all).await?;
    no_content()
}
