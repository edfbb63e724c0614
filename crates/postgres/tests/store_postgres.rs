//! What only a database can do to a store: it is created by several processes at once, is newer, slow, read-only, disconnected or
//! gone.

use domain::barrier::Outcome;
use domain::error::Error;
use feedback::{FeedbackStore, StoreOptions};
use postgres::StoreUrl;
use postgres::feedback::open_database;
use serde_json::json;
use std::time::{Duration, Instant};
use testkit::pooler::Pooler;
use testkit::proxy::{Mood, Proxy};
use testkit::server::{self, Schema, schema};
use testkit::{T0, btc, buy, signal, within};

/// Every write names the channel that it notifies.
const CHANNEL: &str = "signalloop_";
/// The patience of calls that must fail.
const PATIENCE: Duration = Duration::from_millis(1_500);

fn impatient(url: &str) -> FeedbackStore {
    server::open(url, StoreOptions { patience: PATIENCE, ..StoreOptions::default() })
}

fn refused(url: &str) -> Error {
    let options = StoreOptions { patience: PATIENCE, ..StoreOptions::default() };
    StoreUrl::parse(url).and_then(|url| open_database(url, options)).err().unwrap()
}

/// Whether somebody holds the lock that all writers take.
fn is_locked(schema: &Schema) -> bool {
    let locks = "SELECT count(*) FROM pg_locks WHERE mode = 'RowShareLock' \
        AND relation = 'signals_position'::regclass AND granted";
    schema.number(locks) > 0
}

/// Waits until a condition holds, but not for long.
async fn soon(what: &str, so: impl FnMut() -> bool) {
    within(Duration::from_secs(10), what, so).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_start_at_once_make_the_tables_once() {
    let Some(schema) = schema("many_that_start_at_once_make_the_tables_once") else { return };
    let url = schema.url.clone();
    let starts = (0..8).map(|n| {
        let url = url.clone();
        tokio::task::spawn_blocking(move || (n, server::open(&url, StoreOptions::default())))
    });
    for start in starts.collect::<Vec<_>>() {
        let (n, store) = start.await.unwrap();
        assert!(store.record(buy(&n.to_string())).await.unwrap());
    }
    assert_eq!(schema.number("SELECT count(*) FROM signals"), 8);
    assert_eq!(schema.number("SELECT count(*) FROM signalloop_schema"), 1);
}

#[test]
fn newer_tables_are_refused() {
    let Some(schema) = schema("newer_tables_are_refused") else { return };
    drop(impatient(&schema.url));
    schema.ask("UPDATE signalloop_schema SET version = 1000");
    let error = refused(&schema.url);
    assert_eq!(error.code(), "ERR_STORE");
    assert!(error.to_string().contains("have version 1000"), "{error}");
    assert_eq!(schema.number("SELECT version FROM signalloop_schema"), 1000);
}

#[test]
fn errors_say_who_and_where_but_not_the_password() {
    let Some(schema) = schema("errors_say_who_and_where_but_not_the_password") else { return };
    let wrong = schema.url.replace("of%2Fthe%3Atest%3F", "hunter2");
    for (url, said) in [
        (wrong.clone(), "password authentication failed for user \"signalloop\""),
        (wrong.replace("sslmode=disable", "sslmode=verify-full"), "certificate"),
        (schema.url.replace("/postgres?", "/nothing?"), "database \"nothing\" does not exist"),
        ("postgres://me:hunter2@127.0.0.1:1/x?sslmode=disable".to_owned(), "postgres://me@127.0.0.1:1/x"),
    ] {
        let error = refused(&url);
        assert_eq!(error.code(), "ERR_STORE");
        let text = format!("{error} {error:?}");
        assert!(text.contains(said), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("of/the") && !text.contains("of%2F"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_verified() {
    let name = "tls_is_verified";
    let (Some(schema), Some(tls)) = (schema(name), server::url("tlsUrl", name)) else { return };
    let (_, options) = schema.url.split_once('&').unwrap();
    let store = impatient(&format!("{tls}&{options}"));
    assert!(store.record(buy("a")).await.unwrap());
    assert_eq!(
        schema
            .number(
                "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
        WHERE application_name = 'signalloop' AND ssl AND query LIKE '%signals%'"
            )
            .min(1),
        1
    );
    // The certificate is for localhost and 127.0.0.1.
    let error = refused(&format!("{}&{options}", tls.replace("@127.0.0.1:", "@127.0.0.2:")));
    assert_eq!(error.code(), "ERR_STORE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_only_read_insert_and_update_is_enough() {
    let Some(schema) = schema("a_role_that_may_only_read_insert_and_update_is_enough") else { return };
    drop(impatient(&schema.url));
    let name = schema.ask("SELECT current_schema()").remove(0);
    schema.ask(&format!(
        "CREATE ROLE {name}_app LOGIN PASSWORD 'app'; GRANT USAGE ON SCHEMA {name} TO {name}_app; \
         GRANT SELECT ON signalloop_schema TO {name}_app; GRANT SELECT, INSERT, UPDATE ON signals TO {name}_app; \
         GRANT SELECT, UPDATE ON signals_position TO {name}_app"
    ));
    let store = impatient(&schema.url.replace("signalloop:of%2Fthe%3Atest%3F@", &format!("{name}_app:app@")));
    assert!(store.record(buy("a")).await.unwrap());
    assert_eq!(store.on_price(&btc(), 94.0, T0 + 1).await.unwrap().len(), 1);
    drop(store);
    schema.ask(&format!("DROP OWNED BY {name}_app; DROP ROLE {name}_app"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_connection_is_left_calls_say_so_in_time_and_later_ones_succeed() {
    let Some(schema) = schema("where_no_connection_is_left_calls_say_so_in_time_and_later_ones_succeed") else {
        return;
    };
    let name = schema.ask("SELECT current_schema()").remove(0);
    schema.ask(&format!(
        "CREATE ROLE {name}_few LOGIN PASSWORD 'few' CONNECTION LIMIT 1; GRANT ALL ON SCHEMA {name} TO {name}_few"
    ));
    let url = schema.url.replace("signalloop:of%2Fthe%3Atest%3F@", &format!("{name}_few:few@"));
    let store = impatient(&url);
    assert!(store.record(buy("a")).await.unwrap());
    // Another instance, and this one's connection for records.
    for error in [refused(&url), store.get("a").unwrap_err()] {
        assert_eq!(error.code(), "ERR_STORE");
        assert!(error.to_string().contains("too many connections"), "{error}");
    }
    assert!(store.record(buy("b")).await.unwrap(), "what is connected stays so");
    schema.ask(&format!("ALTER ROLE {name}_few CONNECTION LIMIT 3"));
    assert!(store.get("a").unwrap().is_some());
    let other = impatient(&url);
    assert!(other.record(buy("c")).await.unwrap());
    store.close().await;
    other.close().await;
    schema.ask(&format!("DROP OWNED BY {name}_few; DROP ROLE {name}_few"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_unheard_is_neither_lost_nor_done_twice() {
    let Some(schema) = schema("what_was_committed_unheard_is_neither_lost_nor_done_twice") else { return };
    let proxy = Proxy::of(&schema, CHANNEL);
    let store = impatient(&proxy.url);
    store.record(buy("before")).await.unwrap();
    for n in 0..5 {
        proxy.be(Mood::Mute);
        let (of, id) = (store.clone(), n.to_string());
        let recorded = tokio::spawn(async move { of.record(buy(&id)).await });
        let sql = format!("SELECT count(*) FROM signals WHERE id = '{n}'");
        soon("it is committed", || schema.number(&sql) == 1).await;
        proxy.be(Mood::Passes);
        proxy.cut();
        assert!(recorded.await.unwrap().unwrap());

        proxy.be(Mood::Mute);
        let (of, at) = (store.clone(), T0 + 1 + n);
        let closed = tokio::spawn(async move { of.on_price(&btc(), 94.0, at).await });
        soon("it is closed", || schema.number("SELECT count(*) FROM signals WHERE outcome = 'ACTIVE'") == 0).await;
        proxy.be(Mood::Passes);
        proxy.cut();
        let closed: Vec<_> = closed.await.unwrap().unwrap().into_iter().map(|closed| closed.id).collect();
        let expected: &[String] = if n == 0 { &["before".to_owned(), "0".to_owned()] } else { &[n.to_string()] };
        assert_eq!(closed, expected, "the price that closed it is told so, though its answer was lost");
    }
    assert_eq!(schema.number("SELECT position FROM signals_position"), 12, "each was done once");
    assert_eq!(store.stats(&Default::default()).unwrap().figures.closed, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_or_silent_fails_calls_in_time_and_is_found_again() {
    let Some(schema) = schema("a_database_that_is_gone_or_silent_fails_calls_in_time_and_is_found_again") else {
        return;
    };
    let proxy = Proxy::of(&schema, CHANNEL);
    let store = impatient(&proxy.url);
    store.record(buy("open")).await.unwrap();
    for (n, mood) in [Mood::Refuses, Mood::Swallows].into_iter().enumerate() {
        proxy.be(mood);
        if mood == Mood::Refuses {
            proxy.cut();
        }
        let id = format!("{mood:?}");
        let (begun, symbol) = (Instant::now(), btc());
        let (recorded, closed) = tokio::join!(store.record(buy(&id)), store.on_price(&symbol, 94.0, T0 + 1 + n as i64));
        let read = store.stats(&Default::default());
        // Each call fails, and then releases a lock that may be held, one after the other.
        assert!(begun.elapsed() < PATIENCE * 6, "{mood:?}: {:?}", begun.elapsed());
        for error in [recorded.unwrap_err(), closed.unwrap_err(), read.unwrap_err()] {
            assert_eq!(error.code(), "ERR_STORE", "{mood:?}: {error}");
            assert!(!error.to_string().contains("of/the"), "{error}");
        }
        assert!(!store.closes_nothing(&btc(), 100.0, T0 + 2 + n as i64), "what is not known is not told");
        proxy.be(Mood::Passes);
        // Swallowed data is missing in the middle of a connection, which no network does to a connection that continues.
        proxy.cut();
        // It recovers by itself, with the next call.
        assert!(store.record(buy(&id)).await.unwrap());
        assert_eq!(store.open_signals(None).unwrap().len(), 2 + n);
    }
    assert_eq!(store.on_price(&btc(), 94.0, T0 + 9).await.unwrap().len(), 3, "what was hit in vain is still open");
    assert_eq!(schema.number("SELECT count(*) FROM signals"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_refuses_to_record_and_can_be_written_again() {
    let Some(schema) = schema("a_read_only_database_refuses_to_record_and_can_be_written_again") else { return };
    let name = schema.ask("SELECT current_schema()").remove(0);
    schema.ask(&format!("CREATE DATABASE {name}"));
    let url = schema.url.replace("/postgres?", &format!("/{name}?")).split("&options").next().unwrap().to_owned();
    let store = impatient(&url);
    store.record(buy("a")).await.unwrap();
    schema.ask(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    schema.ask(&end);
    let error = store.record(buy("b")).await.unwrap_err();
    assert_eq!(error.code(), "ERR_STORE", "{error}");
    schema.ask(&format!("ALTER DATABASE {name} SET default_transaction_read_only = off"));
    assert!(store.record(buy("b")).await.unwrap());
    assert_eq!(store.open_signals(None).unwrap().len(), 2);
    store.close().await;
    schema.ask(&format!("DROP DATABASE {name} WITH (FORCE)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_holds_the_lock_is_waited_for_and_then_told_of() {
    let Some(schema) = schema("one_that_holds_the_lock_is_waited_for_and_then_told_of") else { return };
    let store = impatient(&schema.url);
    store.record(buy("a")).await.unwrap();
    let url = schema.url.clone();
    let holder = std::thread::spawn(move || {
        server::ask(&url, "BEGIN; SELECT position FROM signals_position FOR UPDATE; SELECT pg_sleep(2.5); COMMIT")
    });
    soon("it is locked", || is_locked(&schema)).await;
    let error = store.record(buy("b")).await.unwrap_err();
    assert_eq!(error.code(), "ERR_STORE_BUSY", "{error}");
    assert_eq!(store.open_signals(None).unwrap().len(), 1, "reading needs no lock");
    holder.join().unwrap();
    assert!(store.record(buy("b")).await.unwrap());
}

/// A migration of another version changes a column's type, and the next call uses an older prepared statement.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_prepared_before_a_column_changed_is_prepared_anew() {
    let Some(schema) = schema("what_was_prepared_before_a_column_changed_is_prepared_anew") else { return };
    let (store, other) = (impatient(&schema.url), impatient(&schema.url));
    store.record(buy("a")).await.unwrap();
    assert!(store.get("a").unwrap().is_some());
    for (n, kind) in ["varchar(40)", "text"].into_iter().enumerate() {
        schema.ask(&format!("ALTER TABLE signals ALTER COLUMN symbol TYPE {kind}"));
        assert!(other.record(buy(kind)).await.unwrap());
        assert_eq!(store.open_signals(None).unwrap().len(), 2 * (n + 1), "{kind}");
        assert!(store.record(buy(&format!("{kind} too"))).await.unwrap());
        assert!(store.record(buy(kind)).await.unwrap(), "known");
    }
}

/// DEALLOCATE ALL in the store's own sessions, after everything that it writes.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_prepared_and_put_away_is_prepared_anew() {
    let Some(schema) = schema("what_was_prepared_and_put_away_is_prepared_anew") else { return };
    let store = impatient(&schema.url);
    schema.ask(
        "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN NULL; END $$; \
         CREATE TRIGGER forget AFTER INSERT OR UPDATE ON signals FOR EACH STATEMENT EXECUTE FUNCTION forget()",
    );
    for n in 0..3 {
        assert!(store.record(buy(&n.to_string())).await.unwrap());
        assert_eq!(store.open_signals(None).unwrap().len(), 1);
        assert_eq!(store.on_price(&btc(), 94.0, T0 + 1 + n).await.unwrap().len(), 1);
        assert!(store.compact().await.unwrap().bytes_before > 0);
    }
    assert_eq!(schema.number("SELECT position FROM signals_position"), 6, "each was done once");
}

/// A role's own timeout is not a lock: the error says so, and a lock is reported as one even if the timeout is shorter.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_the_roles_timeout_cuts_off_is_told_as_that() {
    let Some(schema) = schema("a_statement_that_the_roles_timeout_cuts_off_is_told_as_that") else { return };
    drop(impatient(&schema.url));
    let name = schema.ask("SELECT current_schema()").remove(0);
    schema.ask(&format!(
        "CREATE ROLE {name}_short LOGIN PASSWORD 'app'; GRANT USAGE ON SCHEMA {name} TO {name}_short; \
         GRANT ALL ON ALL TABLES IN SCHEMA {name} TO {name}_short; ALTER ROLE {name}_short SET statement_timeout = '200ms'; \
         CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$; \
         CREATE TRIGGER slow AFTER INSERT ON signals FOR EACH STATEMENT EXECUTE FUNCTION slow()"
    ));
    let store = impatient(&schema.url.replace("signalloop:of%2Fthe%3Atest%3F@", &format!("{name}_short:app@")));
    let error = store.record(buy("a")).await.unwrap_err();
    assert_eq!(error.code(), "ERR_STORE", "{error}");
    for said in ["SQLSTATE 57014", "`statement_timeout`", "ALTER ROLE", "nothing of it was recorded"] {
        assert!(error.to_string().contains(said), "{said}: {error}");
    }
    schema.ask("DROP TRIGGER slow ON signals");
    assert!(store.record(buy("a")).await.unwrap());
    let url = schema.url.clone();
    let holder = std::thread::spawn(move || {
        server::ask(&url, "BEGIN; SELECT position FROM signals_position FOR UPDATE; SELECT pg_sleep(2.5); COMMIT")
    });
    soon("it is locked", || is_locked(&schema)).await;
    let error = store.record(buy("b")).await.unwrap_err();
    assert_eq!(error.code(), "ERR_STORE_BUSY", "{error}");
    holder.join().unwrap();
    assert!(store.record(buy("b")).await.unwrap());
    store.close().await;
    schema.ask(&format!("DROP OWNED BY {name}_short; DROP ROLE {name}_short"));
}

/// Each call waits as long as a call may, however many wait before it, and none much less.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_queue_up_before_a_database_that_is_gone_fail_in_time() {
    let Some(schema) = schema("calls_that_queue_up_before_a_database_that_is_gone_fail_in_time") else { return };
    let proxy = Proxy::of(&schema, CHANNEL);
    let patience = Duration::from_millis(2_500);
    let store = server::open(&proxy.url, StoreOptions { patience, ..StoreOptions::default() });
    store.record(buy("open")).await.unwrap();
    for mood in [Mood::Refuses, Mood::Swallows] {
        proxy.be(mood);
        if mood == Mood::Refuses {
            proxy.cut();
        }
        let record = |id: String| {
            let store = store.clone();
            tokio::spawn(async move {
                let begun = Instant::now();
                (store.record(buy(&id)).await.unwrap_err(), begun.elapsed())
            })
        };
        let mut calls: Vec<_> = (0..10_000).map(|n| record(format!("{mood:?} {n}"))).collect();
        tokio::time::sleep(Duration::from_millis(1_800)).await;
        calls.extend((0..100).map(|n| record(format!("{mood:?} late {n}"))));
        for call in calls {
            let (error, took) = call.await.unwrap();
            assert_eq!(error.code(), "ERR_STORE", "{error}");
            // A second less for calls that fail together, a second more for a busy machine.
            assert!(took + Duration::from_secs(1) > patience, "{mood:?}: {took:?}: {error}");
            assert!(took < patience + Duration::from_secs(1), "{mood:?}: {took:?}: {error}");
        }
        let reads: Vec<_> = (0..600)
            .map(|_| {
                let store = store.clone();
                tokio::task::spawn_blocking(move || store.stats(&Default::default()).unwrap_err())
            })
            .collect();
        let begun = Instant::now();
        for read in reads {
            assert_eq!(read.await.unwrap().code(), "ERR_STORE");
        }
        assert!(begun.elapsed() < patience + Duration::from_secs(2), "{mood:?}: {:?}", begun.elapsed());
        proxy.be(Mood::Passes);
        proxy.cut();
        assert!(store.record(buy(&format!("{mood:?}"))).await.unwrap());
    }
    assert_eq!(schema.number("SELECT count(*) FROM signals WHERE id NOT LIKE '% %'"), 3);
}

/// Another cluster answers at the same address: acknowledged data is missing there, and nothing is written to it.
#[tokio::test(flavor = "multi_thread")]
async fn another_server_behind_the_url_is_not_taken_for_the_first() {
    let name = "another_server_behind_the_url_is_not_taken_for_the_first";
    let (Some(schema), Some(pair)) = (schema(name), server::pair(name)) else { return };
    let proxy = Proxy::of(&schema, CHANNEL);
    let store = impatient(&proxy.url);
    store.record(buy("a")).await.unwrap();
    let place = schema.ask("SELECT current_schema()").remove(0);
    server::ask(&pair.primary, &format!("CREATE SCHEMA {place}"));
    let identifier = "SELECT system_identifier FROM pg_control_system()";
    let (one, two) = (schema.ask(identifier).remove(0), server::ask(&pair.primary, identifier).remove(0));
    proxy.lead_to(&pair.primary);
    let recorded = store.record(buy("b")).await.map(|_| ());
    for answer in [recorded, store.stats(&Default::default()).map(|_| ()), store.get("a").map(|_| ())] {
        let error = answer.unwrap_err();
        assert_eq!(error.code(), "ERR_STORE");
        for said in ["another server answers", "restart this process", &one, &two] {
            assert!(error.to_string().contains(said), "{said}: {error}");
        }
    }
    soon("prices are not taken for seen", || !store.closes_nothing(&btc(), 100.0, T0 + 1)).await;
    let tables = format!("SELECT count(*) FROM information_schema.tables WHERE table_schema = '{place}'");
    assert_eq!(server::ask(&pair.primary, &tables), ["0"], "nothing was made there");
    // A process that starts there accepts it as it is.
    let begun_there = impatient(&proxy.url);
    assert!(begun_there.record(buy("a")).await.unwrap());
    begun_there.close().await;
    proxy.lead_to(&schema.url);
    assert!(store.record(buy("b")).await.unwrap());
    assert_eq!(store.open_signals(None).unwrap().len(), 2);
}

/// A pooler that shares sessions is rejected on opening; one that does not works like the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_is_used_only_where_it_keeps_sessions() {
    let Some(schema) = schema("a_pooler_is_used_only_where_it_keeps_sessions") else { return };
    for settings in [
        "pool_mode = transaction",
        "pool_mode = transaction\nserver_round_robin = 1",
        "pool_mode = transaction\ndefault_pool_size = 1",
        "pool_mode = statement",
    ] {
        let Some(pooler) = Pooler::start(&schema, settings) else { return };
        // Free server processes, to be used in turn.
        let warm: Vec<_> = (0..3).map(|_| pooler.url.clone()).collect();
        std::thread::scope(|scope| {
            for url in &warm {
                scope.spawn(|| server::ask(url, "SELECT pg_sleep(0.1)"));
            }
        });
        for _ in 0..2 {
            let error = refused(&pooler.url);
            assert_eq!(error.code(), "ERR_STORE", "{settings}: {error}");
            assert!(error.to_string().contains("pool_mode = session"), "{settings}: {error}");
        }
        assert_eq!(schema.ask("SELECT to_regclass('signals')"), [""], "{settings}: nothing was made");
    }
    let Some(pooler) = Pooler::start(&schema, "pool_mode = session") else { return };
    let (one, two) = (impatient(&pooler.url), impatient(&pooler.url));
    assert!(one.record(buy("a")).await.unwrap());
    soon("the notification arrives", || !two.closes_nothing(&btc(), 94.0, T0 + 1)).await;
    assert_eq!(two.on_price(&btc(), 94.0, T0 + 2).await.unwrap().len(), 1);
    assert!(one.get("a").unwrap().unwrap().closing.is_some());
    one.close().await;
    two.close().await;
}

/// A record of another instance is known here before anyone asks: at once by its notification, or within a second without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_notification_loses_nothing() {
    let Some(schema) = schema("a_lost_notification_loses_nothing") else { return };
    let (one, two) = (impatient(&schema.url), impatient(&schema.url));
    assert!(two.closes_nothing(&btc(), 94.0, T0 + 1));
    one.record(buy("told")).await.unwrap();
    soon("the notification arrives", || !two.closes_nothing(&btc(), 94.0, T0 + 2)).await;
    assert_eq!(two.on_price(&btc(), 94.0, T0 + 3).await.unwrap().len(), 1);
    soon("two is current again", || one.closes_nothing(&btc(), 94.0, T0 + 4)).await;
    soon("two is current again", || two.closes_nothing(&btc(), 94.0, T0 + 4)).await;
    // Like an instance whose notification is lost.
    schema.ask(
        "BEGIN; UPDATE signals_position SET position = position + 1; \
         INSERT INTO signals (number, change, batch, id, symbol, timeframe, direction, confidence, entry_price, stop_loss, \
           take_profit, given_at, outcome, rest) \
         SELECT position, position, 0, 'untold', 'BTCUSDT', '1h', 'BUY', 80, 100, 95, 110, to_timestamp(1700000000), \
           'ACTIVE', '{\"note\": 1}' FROM signals_position; COMMIT",
    );
    let begun = Instant::now();
    soon("the table is looked at", || !two.closes_nothing(&btc(), 94.0, T0 + 5)).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(two.on_price(&btc(), 94.0, T0 + 6).await.unwrap()[0].id, "untold");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_is_read_anew() {
    let Some(schema) = schema("a_restored_backup_is_read_anew") else { return };
    let store = impatient(&schema.url);
    store.record_all((0..10).map(|n| buy(&n.to_string())).collect()).await.unwrap();
    schema.ask("DELETE FROM signals WHERE number > 4; UPDATE signals_position SET position = 4");
    assert_eq!(store.open_signals(None).unwrap().len(), 4);
    assert!(store.record(buy("9")).await.unwrap());
    assert_eq!(schema.number("SELECT count(*) FROM signals"), 5);
}

/// People find plain columns.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_says_in_plain_columns_what_a_signal_is() {
    let Some(schema) = schema("a_row_says_in_plain_columns_what_a_signal_is") else { return };
    let store = impatient(&schema.url);
    let sent = signal(
        json!({ "id": "a", "signalType": "SELL", "stopLoss": 105, "takeProfit": 90, "expiresAt": T0 + 3_600_000 }),
    );
    store.record(sent).await.unwrap();
    store.close_signal("a", Outcome::TookProfit, Some(89.5), None, T0 + 60_000).await.unwrap();
    let row = schema.ask(
        "SET timezone = 'UTC'; SELECT concat_ws(' ', number, change, id, symbol, timeframe, direction, confidence, entry_price, \
         stop_loss, take_profit, given_at, expires_at, outcome, exit_price, profit_percent, closed_at, \
         rest->'indicators'->>'rsi', exact) FROM signals",
    );
    assert_eq!(
        row,
        ["1 2 a BTCUSDT 1h SELL 80 100 105 90 2023-11-14 22:13:20+00 2023-11-14 23:13:20+00 TOOK_PROFIT 89.5 10.5 \
          2023-11-14 22:14:20+00 71.5"]
    );
}

/// Signals of the version before managed ones, with keys of the caller's own that have a meaning now.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_from_before_managed_signals_is_brought_up_to_date() {
    let Some(schema) = schema("a_table_from_before_managed_signals_is_brought_up_to_date") else { return };
    impatient(&schema.url).close().await;
    let own = r#"{"indicators": {"rsi": 71.5}, "entryType": "limit", "takeProfits": ["105"], "feeBps": 50, "tags": "scalp", "mfe_percent": 2}"#;
    schema.ask(&format!(
        "INSERT INTO signals (number, change, batch, id, symbol, timeframe, direction, confidence, entry_price, stop_loss, take_profit, \
           given_at, outcome, exit_price, profit_percent, closed_at, rest) VALUES \
         (1, 1, 7, 'open', 'BTCUSDT', '1h', 'BUY', 80, 100, 95, 110, '2023-11-14 22:13:20+00', 'ACTIVE', null, null, null, '{own}'), \
         (2, 2, 7, 'closed', 'BTCUSDT', '1h', 'BUY', 80, 100, 95, 110, '2023-11-14 22:13:20+00', 'STOPPED_OUT', 94, -6, \
          '2023-11-14 22:14:20+00', '{own}'), \
         (3, 3, 7, 'amended', 'BTCUSDT', '1h', 'BUY', 80, 100, 95, 110, '2023-11-14 22:13:20+00', 'ACTIVE', null, null, null, '{own}'); \
         UPDATE signals_position SET position = 3; UPDATE signalloop_schema SET version = 6",
    ));
    let store = impatient(&schema.url);
    assert_eq!(schema.number("SELECT version FROM signalloop_schema"), 7);
    let about = "SELECT col_description('signals'::regclass, attnum) FROM pg_attribute \
                 WHERE attrelid = 'signals'::regclass AND attname = 'outcome'";
    assert!(schema.ask(about)[0].contains("CANCELLED"));
    let own: serde_json::Value = serde_json::from_str(own).unwrap();
    let whole = |store: &FeedbackStore, id: &str| {
        let record = store.get(id).unwrap().unwrap();
        let extra = &record.signal.extra;
        assert!(
            ["entryType", "takeProfits", "feeBps", "tags", "mfe_percent"].iter().all(|key| extra[*key] == own[*key]),
            "{extra:?}"
        );
        assert_eq!((record.signal.position, record.signal.terms.clone()), Default::default());
        record
    };
    assert_eq!(whole(&store, "closed").closing.unwrap().exit_price, Some(94.0));
    assert_eq!((whole(&store, "open").trade(), whole(&store, "amended").trade()), (None, None));
    let map = testkit::object(json!({ "signalId": "amended", "stopLoss": 90 }));
    let (id, amendment) = domain::signal::Amendment::from_json(map, domain::time::Tz::UTC).unwrap();
    assert!(store.change(id, domain::signal::Change::Amend(amendment), T0 + 1).await.unwrap());
    // The plain one closes at its stop, the amended one stays open, here and for others.
    assert_eq!(store.on_price(&btc(), 94.5, T0 + 2).await.unwrap().len(), 1);
    for store in [&store, &impatient(&schema.url)] {
        assert_eq!(whole(store, "open").closing.unwrap().outcome, Outcome::StoppedOut);
        let amended = whole(store, "amended");
        assert_eq!((amended.history.len(), amended.closing), (1, None));
        assert_eq!(store.recovery(), Default::default());
    }
    assert_eq!(
        schema.ask("SELECT rest->'managed_history'->0->>'event' FROM signals WHERE id = 'amended'"),
        ["amended"]
    );
}

/// A failover loses what the standby did not have, and continues from there, with as many changes or more, but different ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_takes_over_without_all_commits_is_read_anew() {
    let Some(pair) = server::pair("a_standby_that_takes_over_without_all_commits_is_read_anew") else { return };
    let ids = |store: &FeedbackStore| {
        let mut ids: Vec<String> = store.open_signals(None).unwrap().into_iter().map(|signal| signal.id).collect();
        ids.sort();
        ids
    };
    let [host, other] = [&pair.primary, &pair.standby].map(|url| url[url.find('@').unwrap() + 1..].to_owned());
    let both = pair.primary.replace(&host, &format!("{},{other}", host.split('/').next().unwrap()));
    let store = server::open(&both, StoreOptions::default());
    store.record_all(vec![buy("kept 1"), buy("kept 2")]).await.unwrap();
    let written = server::ask(&pair.primary, "SELECT pg_current_wal_flush_lsn()").remove(0);
    let heard = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
    soon("the standby follows", || server::ask(&pair.standby, &heard) == ["t"]).await;

    // From here on the standby receives nothing, and the primary does not wait for it.
    for sql in ["ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"] {
        server::ask(&pair.standby, sql);
    }
    soon("the standby is deaf", || server::ask(&pair.standby, "SELECT count(*) FROM pg_stat_wal_receiver") == ["0"])
        .await;
    store.record_all(vec![buy("lost 1"), buy("lost 2"), buy("lost 3")]).await.unwrap();
    assert_eq!(ids(&store).len(), 5);
    for sql in ["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"] {
        server::ask(&pair.primary, sql);
    }
    let read_only = "SHOW default_transaction_read_only";
    soon("the primary takes no more", || server::ask(&pair.primary, read_only) == ["on"]).await;
    assert_eq!(server::ask(&pair.standby, "SELECT pg_promote()"), ["t"]);
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'signalloop'";
    server::ask(&pair.primary, end);
    let new = server::open(&pair.standby, StoreOptions::default());
    // As many changes as the store knows: the position alone would not show the difference.
    new.record_all(vec![buy("new 1"), buy("new 2"), buy("new 3")]).await.unwrap();

    assert!(store.record(buy("after")).await.unwrap());
    let expected = ["after", "kept 1", "kept 2", "new 1", "new 2", "new 3"];
    assert_eq!((ids(&store), ids(&new)), (expected.map(str::to_owned).into(), expected.map(str::to_owned).into()));
    assert!(store.record(buy("lost 1")).await.unwrap(), "what was lost can be recorded again");
    store.close().await;
    new.close().await;
}
