//! Counts of several nodes, and of killed nodes.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use chrono::TimeDelta;
use serde_json::json;
use slipway::services::adoption::counting::count_due;

use super::{HOLDER, check, count_after, count_rows, days, execute, history, merchant, on, pass};
use crate::api::harness::{DEADLINE, TENANT, TestApp, app_fields};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::wait::until;

/// Longer than a lease.
const LEASE: TimeDelta = TimeDelta::minutes(5);

on_both_databases!(
    two_nodes_do_not_count_twice,
    a_count_that_is_killed_is_continued_by_another_node,
);

async fn two_nodes_do_not_count_twice(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let other = app.at_another_node(&merchant.admin).await;
    let (other, of_other) = (&other.0.context, &other.1);
    // The other node counts when it starts.
    until("the tenant is counted", DEADLINE, async || {
        count_rows(&app, "adoption_counts").await == 1
    })
    .await;
    check(&merchant, "A", 50, json!({})).await;
    check(&merchant, "B", 50, json!({})).await;
    count_after(&app, TimeDelta::hours(1)).await;
    assert_eq!(count_due(other, "another node").await.unwrap(), None);
    let expected = [on("2026-03-02", &[(50, 2)])];
    assert_eq!(days(&history(of_other, "").await), expected);

    // Both try at the same time. One has the lease, and the later one finds nothing due.
    pass(&app, TimeDelta::hours(1));
    let (first, second) = tokio::join!(
        count_due(&app.running.context, HOLDER),
        count_due(other, "another node")
    );
    let counted: Vec<_> = [first.unwrap(), second.unwrap()].into_iter().flatten().collect();
    assert_eq!(counted.iter().map(|report| report.tenants).sum::<u64>(), 1);
    assert_eq!(days(&history(of_other, "").await), expected);

    // An expired lease of a holder that still counts does no harm: the numbers are the same.
    execute(&app, &["DELETE FROM adoption_counts", "DELETE FROM leases"]).await;
    assert_eq!(
        count_due(other, "another node").await.unwrap().unwrap().tenants,
        1
    );
    assert_eq!(days(&history(&merchant.admin, "").await), expected);
    assert_eq!(count_rows(&app, "adoption_days").await, 1);
}

/// Polls a future a number of times, and drops it. Returns `None` if it did not complete.
async fn run_polls<F: Future>(future: F, mut polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(move |cx| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        let polled = future.as_mut().poll(cx).map(Some);
        if polls == 0 && polled.is_pending() {
            cx.waker().wake_by_ref();
        }
        polled
    })
    .await
}

async fn a_count_that_is_killed_is_continued_by_another_node(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let other_tenant = app.tenant_admin(TENANT + 1).await;
    other_tenant
        .post(
            &format!("/api/v1/tenants/{}/apps", TENANT + 1),
            &app_fields("com.other"),
        )
        .await
        .expect(201);
    check(&merchant, "A", 50, json!({})).await;
    check(&merchant, "B", 51, json!({})).await;
    let mut ended = 0;
    for polls in 1..40 {
        // A killed node leaves its lease behind.
        execute(
            &app,
            &["DELETE FROM adoption_days", "DELETE FROM adoption_counts"],
        )
        .await;
        pass(&app, LEASE);
        let killed = run_polls(count_due(&app.running.context, "a killed node"), polls).await;
        ended += u64::from(killed.is_some());
        // The written counts of a tenant are complete.
        let found = days(&history(&merchant.admin, "?days=1").await);
        assert!(found.is_empty() || found[0].1 == [(51, 1), (50, 1)], "{found:?}");
        pass(&app, LEASE);
        count_due(&app.running.context, HOLDER).await.unwrap();
        let found = days(&history(&merchant.admin, "?days=1").await);
        assert_eq!(found[0].1, [(51, 1), (50, 1)], "{polls}");
        assert_eq!(count_due(&app.running.context, HOLDER).await.unwrap(), None);
    }
    assert!(ended < 39, "some counts were killed");
}
