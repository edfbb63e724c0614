//! Pooled models for tests of the registry, and what must hold wherever they are kept: a version never exists without the one that
//! it rests on, each is kept once, and goes with the last version that needs it.

use domain::error::Result;
use domain::symbol::Market;
use learning::model::file;
use learning::model::ledger::{Entry, Rollback};
use learning::model::pool::Pool as Pooled;
use learning::model::{Champion, Model};
use learning::model::{ClusterSums, ShapeRecord, ShapedPool};
use registry::Registry;
use registry::pool::{Pool, hex};
use registry::store::{Next, Version};
use std::path::Path;
use std::sync::Arc;

pub fn btc() -> Market {
    Market::parse("BTCUSDT", "1h").unwrap()
}

pub fn eth() -> Market {
    Market::parse("ETHUSDT", "1h").unwrap()
}

/// A model of the format that had no pooled ones.
fn old_model() -> Model {
    let fixture = include_bytes!("../fixtures/champion.model");
    file::decode(fixture, Path::new("fixture"), &btc(), 0, None).unwrap()
}

/// A pooled model that no other number gives.
pub fn pool(number: u64) -> Pool {
    let mut pool = Pooled::clone(&old_model().pool);
    pool.record.seed = number;
    let record =
        ShapeRecord { shape: pool.record.shape, signals: 70, rows: 500, beliefs: [0.5; 2], skill: pool.record.skill };
    pool.shapes = vec![ShapedPool { record, sides: pool.sides.clone(), base_rates: Vec::new(), management: None }];
    Pool::of(pool.encode().unwrap())
}

/// A pooled model of a megabyte.
pub fn large_pool() -> Pool {
    let mut pool = Pooled::clone(&old_model().pool);
    let sums = |cluster: i64| (cluster, ClusterSums { spread: cluster as f64, agreement: 1.0 / cluster as f64 });
    pool.sides[0].evidence.clusters = (1..50_000).map(sums).collect();
    Pool::of(pool.encode().unwrap())
}

/// A version of a market that rests on a pooled model.
pub fn resting(market: &Market, number: u64, pool: &Pool) -> Version {
    let mut model = old_model();
    model.record.market = market.clone();
    model.record.pool = Some(hex(pool.checksum()));
    let version = Version::of(number, file::encode(&model).unwrap()).unwrap();
    assert_eq!(version.pool.as_ref(), Some(pool.checksum()));
    version
}

/// Puts a version into service that rests on a pooled model, and forgets its predecessors but for so many; gives its number.
pub fn put(registry: &Registry, market: &Market, pool: &Pool, predecessors: usize) -> Result<u64> {
    put_with(registry, market, pool, predecessors, vec![pool.clone()])
}

/// [`put`] that brings these pooled models along.
pub fn put_with(
    registry: &Registry,
    market: &Market,
    pool: &Pool,
    predecessors: usize,
    pools: Vec<Pool>,
) -> Result<u64> {
    loop {
        let change = registry.store().change(market)?;
        let mut state = registry.state_to_change(market, &*change)?;
        let (number, from) = (state.next, state.champion.unwrap_or(0));
        state.next += 1;
        state.promote(number, 0, "for the test", false);
        let forgotten = state.predecessors.len().saturating_sub(predecessors);
        state.predecessors.drain(..forgotten);
        let reason = "for the test".to_owned();
        let entry = Rollback { at_ms: 0, market: market.clone(), from, to: number, automatic: false, reason };
        let versions = vec![resting(market, number, pool)];
        let next = Next { versions, pools: pools.clone(), ..Next::of(state, vec![Entry::Rollback(entry)]) };
        if change.commit(next)?.is_some() {
            return Ok(number);
        }
    }
}

/// What holds wherever models are kept; `open` is another instance.
pub fn kept_once_as_long_as_needed(open: &dyn Fn() -> Registry, pools: &dyn Fn() -> Vec<String>) {
    let [one, two, other] = [1, 2, 3].map(pool);
    let names = |all: &[&Pool]| {
        let mut names: Vec<String> = all.iter().map(|pool| hex(pool.checksum())).collect();
        names.sort();
        names
    };
    let registry = open();
    assert_eq!((put(&registry, &btc(), &one, 1).unwrap(), put(&registry, &eth(), &one, 0).unwrap()), (1, 1));
    assert_eq!(pools(), names(&[&one]));
    assert!(registry.store().pool(one.checksum()).unwrap().is_some_and(|bytes| bytes == one.bytes()));
    assert!(registry.store().pool(two.checksum()).unwrap().is_none());
    assert!(registry.store().has_pool(one.checksum()).unwrap() && !registry.store().has_pool(two.checksum()).unwrap());
    assert_eq!([btc(), eth()].map(|market| open().get(&market).wait().unwrap().version()), [1, 1]);

    // All models share one copy in memory, which is freed with the last.
    let [first, second] = [btc(), eth()].map(|market| registry.pooled(&market, 1, one.checksum()).unwrap().unwrap());
    assert!(Arc::ptr_eq(&first, &second) && first.encode().unwrap() == one.bytes());
    drop((first, second));

    // A predecessor's stays, for it can be gone back to.
    assert_eq!(put(&registry, &btc(), &two, 1).unwrap(), 2);
    assert_eq!(pools(), names(&[&one, &two]));
    assert_eq!(registry.rollback(&btc(), 2, "", false, 0, None).unwrap().unwrap().to, 1);
    assert_eq!(open().get(&btc()).wait().unwrap().version(), 1);

    // The newest three versions are kept, and what they rest on.
    (3..=5).for_each(|number| assert_eq!(put(&registry, &btc(), &other, 0).unwrap(), number));
    assert_eq!(pools(), names(&[&one, &other]), "the other market still rests on the first");
    (2..=3).for_each(|number| assert_eq!(put(&registry, &eth(), &other, 0).unwrap(), number));
    assert_eq!(pools(), names(&[&one, &other]));
    assert_eq!(put(&registry, &eth(), &other, 0).unwrap(), 4);
    assert_eq!(pools(), names(&[&other]));
    // Who read a version just before it went is told that it is gone.
    assert!(open().pooled(&btc(), 1, one.checksum()).unwrap().is_none());

    // Where one is there, it need not be brought along; where it is not, no version rests on it.
    assert_eq!(put_with(&registry, &eth(), &other, 0, Vec::new()).unwrap(), 5);
    assert_eq!([btc(), eth()].map(|market| open().get(&market).wait().unwrap().version()), [5, 5]);
}

/// What holds wherever models are kept of a pooled model that is damaged or gone; `break_it` does that.
pub fn refused_and_healed(open: &dyn Fn() -> Registry, break_it: &dyn Fn(&Pool), what: &str) {
    let [broken, sound] = [1, 2].map(pool);
    let serving = open();
    let number = put(&serving, &btc(), &broken, 0).unwrap();
    put(&serving, &eth(), &sound, 0).unwrap();
    serving.get(&btc()).wait().unwrap();
    break_it(&broken);
    let fresh = open();
    let error = fresh.get(&btc()).wait().unwrap_err();
    let text = error.to_string();
    assert!(error.code() == "ERR_MODEL_FILE" && text.contains(&hex(broken.checksum())), "{text}");
    assert!(text.contains(what) && text.contains("signalloop train"), "{text}");
    let listed = fresh.list().unwrap();
    assert_eq!(listed.iter().map(|one| one.record.is_ok()).collect::<Vec<_>>(), [false, true]);
    assert!(matches!(fresh.champion(&btc()).unwrap(), Champion::Unusable { version: Some(_), .. }));
    assert!(fresh.get(&eth()).wait().is_ok(), "the others are served");
    assert_eq!(serving.get(&btc()).wait().unwrap().version(), number, "who has it in memory goes on serving it");
    assert!(!fresh.store().has_pool(broken.checksum()).unwrap());
    // The next training that gives the same one writes it again.
    let number = put(&fresh, &btc(), &broken, 0).unwrap();
    assert_eq!(open().get(&btc()).wait().unwrap().version(), number);
}

/// Takes two markets that rest on one pooled model from one place to another, which goes on, and back.
pub fn taken_along(from: &Registry, to: &Registry, pools: [&dyn Fn() -> Vec<String>; 2]) {
    let counts = |to: &Registry, from: &Registry| {
        let report = to.copy_from(from).unwrap();
        [report.copied.len(), report.known.len(), report.refused.len()]
    };
    for market in [btc(), eth()] {
        put(from, &market, &pool(1), 2).unwrap();
        put(from, &market, &pool(2), 2).unwrap();
    }
    assert_eq!(counts(to, from), [2, 0, 0]);
    assert_eq!(pools[1](), pools[0]());
    assert_eq!(pools[1]().len(), 2);
    for market in [btc(), eth()] {
        assert_eq!(to.get(&market).wait().unwrap(), from.get(&market).wait().unwrap());
        assert_eq!(to.rollback(&market, 2, "", false, 0, None).unwrap().unwrap().to, 1);
        put(to, &market, &pool(3), 1).unwrap();
    }
    assert_eq!(counts(to, from), [0, 2, 0]);
    assert_eq!(counts(from, to), [2, 0, 0]);
    assert_eq!(pools[0](), pools[1]());
    assert_eq!([btc(), eth()].map(|market| from.get(&market).wait().unwrap().version()), [3, 3]);
}
