//! The number of threads changes nothing.

use super::market::{self, past, reversal};
use replay::{Options, Part};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_result_at_one_two_and_four_threads() {
    let (home, candles) = (tempfile::tempdir().unwrap(), past(4));
    let mut all = Vec::new();
    for threads in [1, 2, 4] {
        let compare = vec![Part::Gate];
        let options = Options { threads: Some(threads), compare, ..market::options(home.path()) };
        let replayed = market::run(reversal(), candles.clone(), options).await.unwrap();
        assert_eq!(replayed.runs.len(), 2);
        let signals = replayed.runs[0].decisions.len();
        assert!(signals > 5, "{signals}");
        all.push(format!("{:?}", replayed.runs));
    }
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
}
