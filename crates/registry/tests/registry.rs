//! Which model is in service: no process ever sees a partial promotion, whatever is killed when; every training is in
//! the ledger once; and a rollback is possible.
//!
//! `SIGNALLOOP_KILLS` sets how many times the promoting processes are killed (default 12).

use learning::model::{Champion, ComparedOn, Decision, Entry, Payoff};
use registry::Registry;
use std::collections::HashSet;
use std::path::Path;
use testkit::trained::{market, model, promote, submit, trial, versions};
use testkit::{child_part, kill_at_work, setting};

fn files(home: &Path) -> Vec<String> {
    let folder = home.join("btcusdt_1h");
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_home_of_the_format_without_versions_is_read_served_and_rolled_back_to() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("btcusdt_1h");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("champion.model"), include_bytes!("../../testkit/fixtures/champion.model")).unwrap();
    let registry = Registry::new(home.path().to_owned());
    let old = registry.get(&market()).unwrap();
    assert_eq!((old.version(), old.record.rows, old.record.trees), (0, 232, 10));
    // The prediction that the version which wrote the file gave for the last candle: the base rates, because the model
    // had no skill.
    assert!((100.0 * old.buy.base_rate - 24.266069957348954).abs() < 1e-12, "{}", old.buy.base_rate);
    assert!((100.0 * old.sell.base_rate - 41.9170117306621).abs() < 1e-12);
    let [listed] = &registry.list().unwrap()[..] else { panic!("one market") };
    assert!(listed.record.is_ok() && listed.version == 0 && listed.path.ends_with("champion.model"));

    let new = model(1);
    assert_eq!(promote(&registry, &new), 1);
    assert_eq!(registry.get(&market()).unwrap().buy, new.buy);
    let rollback = registry.rollback(&market(), 1, "worse", false, 7, None).unwrap().unwrap();
    assert_eq!((rollback.from, rollback.to), (1, 0));
    assert_eq!(*registry.get(&market()).unwrap(), *old);
    assert_eq!(promote(&registry, &new), 2, "a number is not used twice");
}

#[test]
fn a_model_of_the_format_without_payoffs_is_served_as_if_its_bets_ended_at_their_levels() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("btcusdt_1h");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("champion.model"), include_bytes!("../../testkit/fixtures/format-2.model")).unwrap();
    let old = Registry::new(home.path().to_owned()).get(&market()).unwrap();
    assert_eq!((old.record.rows, old.record.trees), (306, 10));
    // The prediction that the version which wrote the file gave for the last candle.
    assert!((100.0 * old.buy.base_rate - 43.78703888420017).abs() < 1e-12);
    assert_eq!([old.buy.payoff, old.sell.payoff], [Payoff::at_levels(2.0); 2]);
    assert!(old.lineage.held_out.is_empty(), "it can be served, and not continued");
}

#[test]
fn another_process_serves_a_promotion_at_its_next_call() {
    let home = tempfile::tempdir().unwrap();
    let [here, there] = [0, 1].map(|_| Registry::new(home.path().to_owned()));
    assert_eq!(there.get(&market()).unwrap_err().code(), "ERR_NO_MODEL");
    for seed in 1..=3 {
        assert_eq!(promote(&here, &model(seed)), seed);
        let served = there.get(&market()).unwrap();
        assert_eq!((served.version(), served.record.seed), (seed, seed));
    }
    // A refusal is recorded, and changes nothing in service.
    assert_eq!(submit(&here, &model(4), Decision::WorseLogLoss), 4);
    assert_eq!(there.get(&market()).unwrap().version(), 3);
    assert!(!files(home.path()).contains(&"v000004.model".to_owned()));
    assert_eq!(versions(&there), [1, 2, 3, 4]);
    assert_eq!(promote(&there, &model(5)), 5);
    assert_eq!(here.get(&market()).unwrap().version(), 5);
}

#[test]
fn a_decision_about_a_model_no_longer_in_service_is_not_carried_out() {
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::new(home.path().to_owned());
    let found = registry.champion(&market()).unwrap();
    assert!(matches!(found, Champion::None));
    promote(&registry, &model(1));
    let (new, trial) = (model(2), trial(&model(2), Decision::FirstModel, 0));
    assert!(registry.submit(new, trial, &found, None).unwrap().is_none());
    assert_eq!(registry.get(&market()).unwrap().version(), 1);
    assert_eq!(versions(&registry), [1]);
    assert_eq!(registry.rollback(&market(), 7, "", false, 0, None).unwrap(), None);
}

#[test]
fn rollback_goes_back_step_by_step_and_then_says_that_there_is_no_more() {
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::new(home.path().to_owned());
    (1..=3).for_each(|seed| assert_eq!(promote(&registry, &model(seed)), seed));
    // A rollback skips a predecessor that cannot be read.
    std::fs::write(home.path().join("btcusdt_1h/v000002.model"), b"torn").unwrap();
    let rollback = registry.rollback(&market(), 3, "live results fell", true, 9, None).unwrap().unwrap();
    assert_eq!((rollback.from, rollback.to, rollback.automatic), (3, 1, true));
    for registry in [&registry, &Registry::new(home.path().to_owned())] {
        assert_eq!(registry.get(&market()).unwrap().record.seed, 1);
        let [listed] = &registry.list().unwrap()[..] else { panic!("one market") };
        assert_eq!((listed.version, listed.since_ms), (1, Some(9)));
        assert!(listed.reason.contains("rolled back from version 3: live results fell"), "{}", listed.reason);
    }
    let error = registry.rollback(&market(), 1, "", false, 0, None).unwrap_err();
    assert_eq!(error.code(), "ERR_NO_PREDECESSOR");
    assert!(error.to_string().contains("BTCUSDT 1h") && error.to_string().contains("version 1"), "{error}");
    assert_eq!(registry.ledger().unwrap().entries.last(), Some(&Entry::Rollback(rollback)));
    assert_eq!(registry.get(&market()).unwrap().version(), 1, "the refused rollback changed nothing");
}

#[test]
fn old_versions_go_but_not_those_that_can_be_rolled_back_to() {
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::new(home.path().to_owned());
    let model = model(1);
    (1..=9).for_each(|version| assert_eq!(promote(&registry, &model), version));
    // Four predecessors for single steps back, and an older one.
    let kept: Vec<String> = [1, 5, 6, 7, 8, 9].map(|version| format!("v{version:06}.model")).to_vec();
    assert_eq!(files(home.path()), [&["champion.json".to_owned()], &kept[..]].concat());
    for version in (5..=8).rev() {
        registry.rollback(&market(), version + 1, "", false, 0, None).unwrap().unwrap();
        assert_eq!(registry.get(&market()).unwrap().version(), version);
    }
    assert_eq!(promote(&registry, &model), 10);
    assert!(files(home.path()).contains(&"v000005.model".to_owned()), "the way back from here");
}

#[test]
fn broken_promises_roll_back_to_before_they_began() {
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::new(home.path().to_owned());
    assert_eq!(registry.weighed_since(&market()).unwrap_err().code(), "ERR_NO_MODEL");
    let submit_at = |decision, at_ms| {
        let (model, champion) = (model(1), registry.champion(&market()).unwrap());
        registry.submit(model.clone(), trial(&model, decision, at_ms), &champion, None).unwrap().unwrap();
        registry.weighed_since(&market()).unwrap()
    };
    assert_eq!(submit_at(Decision::FirstModel, 10), (1, 10));
    assert_eq!(
        submit_at(Decision::NotWorse, 20),
        (2, 10),
        "compared with the one before: what was said goes on counting"
    );
    assert_eq!(submit_at(Decision::WorseLogLoss, 30), (2, 10));
    assert_eq!(submit_at(Decision::ShortEvidence, 40), (4, 10));
    let before = |from, run| registry.rollback_before(&market(), from, run, "broken", 50);
    assert_eq!(before(4, 1).unwrap_err().code(), "ERR_NO_PREDECESSOR");
    assert_eq!(registry.weighed_since(&market()).unwrap(), (4, 10), "what is refused changes nothing");
    let rollback = before(4, 2).unwrap().unwrap();
    assert_eq!((rollback.from, rollback.to, rollback.automatic), (4, 1, true));
    assert_eq!(registry.weighed_since(&market()).unwrap(), (1, 50));
    assert_eq!(submit_at(Decision::NotWorse, 60), (5, 50));
    assert_eq!(submit_at(Decision::OtherSignalShape, 70), (6, 70));
    registry.weigh_anew(&market(), 5, 80).unwrap();
    assert_eq!(registry.weighed_since(&market()).unwrap(), (6, 70), "that one is no longer in service");
    registry.weigh_anew(&market(), 6, 80).unwrap();
    assert_eq!(registry.weighed_since(&market()).unwrap(), (6, 80));
    assert_eq!(Registry::new(home.path().to_owned()).get(&market()).unwrap().version(), 6);
}

#[test]
fn a_reader_whose_file_was_purged_finds_the_successor() {
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::new(home.path().to_owned());
    let model = model(1);
    promote(&registry, &model);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..60).for_each(|_| _ = promote(&registry, &model)));
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                for _ in 0..400 {
                    // Nothing in memory: every call reads the files.
                    let version = Registry::new(home.path().to_owned()).get(&market()).unwrap().version();
                    assert!(version >= last, "{version} after {last}");
                    last = version;
                }
            });
        }
    });
    assert_eq!(registry.get(&market()).unwrap().version(), 61);
}

#[test]
fn a_damaged_pointer_is_reported_and_repaired_by_the_next_promotion() {
    let home = tempfile::tempdir().unwrap();
    let serving = Registry::new(home.path().to_owned());
    (1..=2).for_each(|seed| assert_eq!(promote(&serving, &model(seed)), seed));
    let fresh = || Registry::new(home.path().to_owned());
    std::fs::remove_file(home.path().join("btcusdt_1h/v000002.model")).unwrap();
    let error = fresh().get(&market()).unwrap_err();
    assert!(error.code() == "ERR_MODEL_FILE" && error.to_string().contains("it is missing"), "{error}");
    std::fs::write(home.path().join("btcusdt_1h/champion.json"), b"{ \"champion\":").unwrap();
    assert_eq!(fresh().get(&market()).unwrap_err().code(), "ERR_MODEL_FILE");
    assert_eq!(fresh().list().unwrap()[0].record.as_ref().unwrap_err().code(), "ERR_MODEL_FILE");
    assert_eq!(serving.get(&market()).unwrap().version(), 2, "a process with it in memory keeps serving it");
    assert!(matches!(serving.champion(&market()).unwrap(), Champion::Unusable { .. }));
    assert_eq!(promote(&serving, &model(3)), 3, "counting on from the ledger");
    assert_eq!(fresh().get(&market()).unwrap().version(), 3);
}

/// Promotes a model that only another version of signalloop can read.
fn promote_unreadable(home: &Path, seed: u64) -> u64 {
    let version = promote(&Registry::new(home.to_owned()), &model(seed));
    std::fs::write(home.join(format!("btcusdt_1h/v{version:06}.model")), b"signalloop model 5\n").unwrap();
    version
}

#[test]
fn a_champion_of_another_process_that_cannot_be_read_is_decided_about_as_unusable() {
    let home = tempfile::tempdir().unwrap();
    let serving = Registry::new(home.path().to_owned());
    promote(&serving, &model(1));
    assert_eq!(promote_unreadable(home.path(), 2), 2);
    assert_eq!(serving.get(&market()).unwrap().version(), 1, "a process with one in memory keeps serving it");
    let found = serving.champion(&market()).unwrap();
    let Champion::Unusable { version: Some(2), error } = &found else { panic!("that is the model in memory") };
    assert!(error.code() == "ERR_MODEL_FILE" && error.to_string().contains("another format version"), "{error}");
    // A decision about it must not be applied to its successor.
    assert_eq!(promote_unreadable(home.path(), 3), 3);
    let trial = || trial(&model(4), Decision::ChampionUnusable, 0);
    assert!(serving.submit(model(4), trial(), &found, None).unwrap().is_none());
    assert_eq!(serving.get(&market()).unwrap().version(), 1);
    let found = serving.champion(&market()).unwrap();
    let (promoted, trial) = serving.submit(model(4), trial(), &found, None).unwrap().unwrap();
    assert_eq!((promoted.version(), trial.champion), (4, Some(3)));
    assert_eq!(serving.get(&market()).unwrap().version(), 4);
}

#[test]
fn a_torn_line_of_the_ledger_is_passed_over_and_counted() {
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::new(home.path().to_owned());
    promote(&registry, &model(1));
    let path = home.path().join("ledger.jsonl");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], &whole[..whole.len() / 2]].concat()).unwrap();
    // Another process may be writing that line just now.
    let ledger = registry.ledger().unwrap();
    assert_eq!((ledger.entries.len(), ledger.damaged), (1, 0));
    promote(&registry, &model(2));
    let ledger = registry.ledger().unwrap();
    assert_eq!((ledger.entries.len(), ledger.damaged), (2, 1), "the new line is whole");
}

/// Run in a child process: promotes, refuses and rolls back until it is killed.
#[test]
fn promoting_process() {
    let Some((number, home)) = child_part() else { return };
    let registry = Registry::new(home);
    let model = model(number as u64);
    println!("\nready");
    loop {
        let version = promote(&registry, &model);
        submit(&registry, &model, Decision::WorseLogLoss);
        if version.is_multiple_of(3) {
            // Another process may have changed it in the meantime, or there may be nothing left to roll back to.
            let _ = registry.rollback(&market(), version, "for the test", false, 0, None);
        }
    }
}

#[test]
fn kill_9_in_the_midst_of_promotions_by_several_processes_tears_nothing() {
    if child_part().is_some() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::new(home.path().to_owned());
    promote(&registry, &model(0));
    for round in 0..setting("SIGNALLOOP_KILLS", 12) {
        kill_at_work(module_path!(), "promoting_process", home.path(), round);
        // Wherever it was killed: there is a champion, it can be read, and it has the right version.
        let fresh = Registry::new(home.path().to_owned());
        let model = fresh.get(&market()).unwrap();
        assert_eq!(model.version(), fresh.champion_version(&market()).unwrap());
        // The next change completes what a crash left unfinished.
        let version = promote(&fresh, &model);
        let ledger = fresh.ledger().unwrap();
        let numbers = versions(&fresh);
        let distinct: HashSet<u64> = numbers.iter().copied().collect();
        assert_eq!(distinct.len(), numbers.len(), "no trial is written down twice");
        assert!(numbers.is_sorted() && numbers.last() == Some(&version));
        // Every change is in the ledger: replaying it gives the champion at each training.
        let mut champion = None;
        for entry in &ledger.entries {
            match entry {
                Entry::Training(trial) => {
                    assert_eq!(trial.champion, champion, "before trial {}", trial.version);
                    champion = if trial.promoted { Some(trial.version) } else { champion };
                }
                Entry::Rollback(rollback) => {
                    assert_eq!(Some(rollback.from), champion);
                    champion = Some(rollback.to);
                }
            }
        }
        assert_eq!(champion, Some(version));
        assert!(files(home.path()).iter().all(|name| !name.starts_with(".writing-")), "no half-written file stays");
    }
    assert!(versions(&registry).len() > 50, "the processes were at work: {}", versions(&registry).len());
}

#[test]
fn ledger_names_are_part_of_the_contract() {
    // People and scripts read the ledger, so its names are part of the contract.
    let line = serde_json::to_value(trial(&model(1), Decision::NotWorse, 5)).unwrap();
    assert_eq!((&line["decision"], &line["mode"]), (&"NOT_WORSE".into(), &"full".into()));
    assert_eq!(serde_json::to_value(ComparedOn::HeldOut).unwrap(), "held_out");
}
