//! Asks a user's own model what predictions need of it. Its answers are kept for each candle, so that predictions and
//! assessments at every tick ask once.

use super::Models;
use domain::answer::Answer;
use domain::cancel::Cancel;
use domain::error::Result;
use domain::symbol::Market;
use learning::model::Model;
use learning::{OwnBatch, OwnModel, ask, needed, speaks_of};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// So many answers are kept; then all are forgotten.
const MOST_KEPT: usize = 10_000;

/// What an answer is about: the candle that opens then, its features, and the pooled model whose state was asked.
type Question = (Market, i64, u64);

/// The answers of an own model.
#[derive(Default)]
pub(super) struct OwnAnswers {
    known: Mutex<HashMap<Question, [f64; 2]>>,
    /// Held while the model is asked about a market, so that callers at the same time ask once.
    asking: Mutex<HashMap<Market, Arc<Mutex<()>>>>,
}

impl OwnAnswers {
    fn known(&self, question: &Question) -> Option<[f64; 2]> {
        self.known.lock().get(question).copied()
    }

    fn ask(&self, question: Question, answer: impl FnOnce() -> Result<[f64; 2]>) -> Result<[f64; 2]> {
        let asking = self.asking.lock().entry(question.0.clone()).or_default().clone();
        let _one_at_a_time = asking.lock();
        if let Some(known) = self.known(&question) {
            return Ok(known);
        }
        let answer = answer()?;
        let mut known = self.known.lock();
        if known.len() >= MOST_KEPT {
            known.clear();
        }
        known.insert(question, answer);
        Ok(answer)
    }
}

/// The departures of an own model, BUY and SELL; `None` where none is needed, or it says nothing about the candle.
pub(super) type OwnDepartures = Option<[f64; 2]>;

impl Models {
    /// How far the own model that `model` needs departs from its usual level for a row of features, of the candle that
    /// opens at `time_ms`. Pending if it has to be asked, which blocks the thread.
    ///
    /// # Errors
    /// [`domain::error::Error::OwnModelMissing`]; [`domain::error::Error::OwnModel`].
    pub(super) fn own_departures<'a>(
        &'a self,
        model: &'a Model,
        time_ms: i64,
        row: &'a [f64],
    ) -> Answer<Result<OwnDepartures>, impl FnOnce() -> Result<OwnDepartures> + 'a> {
        let own = match needed(model, self.settings.own()) {
            Ok(own) => own.zip(model.needs_own()),
            Err(error) => return Answer::Ready(Err(error)),
        };
        let Some((own, part)) = own.filter(|(own, _)| speaks_of(&***own, time_ms)) else {
            return Answer::Ready(Ok(None));
        };
        let market = &model.record.market;
        let question = (market.clone(), time_ms, fingerprint(model, row));
        let departures = |answer| part.departures(&market.symbol, answer);
        if let Some(known) = self.own_answers.known(&question) {
            return Answer::Ready(Ok(departures(known)));
        }
        Answer::Pending(move || {
            let own: &dyn OwnModel = &**own;
            let batch = OwnBatch::of_row(market, time_ms, row);
            let answer = || Ok(ask(own, batch, part.state.as_deref(), &Cancel::default())?[0]);
            self.own_answers.ask(question, answer).map(departures)
        })
    }
}

/// Tells rows of features, and versions of a model, apart.
fn fingerprint(model: &Model, row: &[f64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    model.record.pool.hash(&mut hasher);
    row.iter().for_each(|value| value.to_bits().hash(&mut hasher));
    hasher.finish()
}
