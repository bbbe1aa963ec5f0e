//! Pins.

use slipway::storage::pins::{self, PinFilter};
use slipway_domain::catalog::org::OrgCode;
use slipway_domain::catalog::page::PageRequest;
use slipway_domain::catalog::pin::{PinMode, PinTarget};

use super::values::{change, hold, identifier, now, prepare_app, scope, version};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(the_same_pin_target_keeps_its_id,);

async fn the_same_pin_target_keeps_its_id(database: TestDatabase) {
    let db = &database.db;
    let wms = prepare_app(db, "com.hema.wms", &["a"]).await;
    let first = hold(&wms, "a", "D1");
    let mut again = hold(&wms, "a", "D1");
    again.mode = PinMode::Ceiling(version(7));
    again.expires_at = Some(now());
    let mut of_node = hold(&wms, "a", "D1");
    of_node.target = PinTarget::OrgNode(vec![OrgCode::parse("HM").unwrap()]);
    change(db, 1, async |tx| {
        let written = pins::upsert(tx, first.clone(), now()).await?;
        assert_eq!(written.value, first);
        let replaced = pins::upsert(tx, again.clone(), now()).await?;
        assert_eq!((replaced.value.id, replaced.value.mode), (first.id, again.mode));
        assert_ne!(replaced.etag, written.etag);
        assert_eq!(
            pins::find(tx, scope(1), first.id).await?.as_ref(),
            Some(&replaced)
        );
        assert_eq!(
            pins::find_by_target(tx, scope(1), wms.id, &first.identifier, &first.target).await?,
            Some(replaced)
        );
        pins::upsert(tx, of_node.clone(), now()).await.map(drop)
    })
    .await;
    let (a, b) = (identifier("a"), identifier("b"));
    for (filter, count) in [
        (PinFilter::default(), 2),
        (
            PinFilter {
                app: Some(wms.id),
                identifier: Some(&a),
                target: None,
            },
            2,
        ),
        (
            PinFilter {
                app: Some(wms.id),
                identifier: Some(&b),
                target: None,
            },
            0,
        ),
        (
            PinFilter {
                target: Some(&of_node.target),
                ..PinFilter::default()
            },
            1,
        ),
    ] {
        let page = pins::list(db, scope(1), &filter, &PageRequest::first(9))
            .await
            .unwrap();
        assert_eq!(page.items.len(), count);
    }
    change(db, 1, async |tx| {
        assert!(pins::delete(tx, &of_node).await?);
        assert!(!pins::delete(tx, &of_node).await?);
        Ok(())
    })
    .await;
}
