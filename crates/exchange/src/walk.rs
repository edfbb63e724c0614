//! Fetching a market page by page: first the candles after the last stored one, then older ones, newest first. So the stored
//! candles have no hole and reach up to now, even if a long fetch ends early.

use super::source::{Asking, bad};
use candles::findings::{Cause, Findings};
use candles::gaps::{Hole, KnownGaps};
use candles::growing::Growing;
use candles::series::{check_pairs, check_steps, notice, price_step};
use domain::calendar::Calendar;
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::threads;
use domain::time::format_iso;

/// Candles in one request: a page of the exchange.
pub(super) const PAGE: i64 = 1000;
/// From this many pages on, it pays to first ask where the source's candles begin.
const MANY_PAGES: i64 = 4;

/// Progress of fetching a market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// Candles fetched so far.
    pub fetched: usize,
    /// Candles still to fetch; `None` while the start of the source's candles is unknown.
    pub missing: Option<usize>,
}

/// Receives the progress of fetching a market.
pub type Tell<'a> = &'a (dyn Fn(Reached) + Send + Sync);

/// A market that is being fetched.
pub(super) struct Walk<'a> {
    pub asking: Asking<'a>,
    pub series: Growing,
    pub findings: Findings,
    /// Wanted are candles that open in `[begin_ms, until_ms)`.
    pub begin_ms: i64,
    pub until_ms: i64,
    /// Whether the source is known to have candles from `begin_ms` on, so that the missing ones can be counted.
    pub is_sure: bool,
    pub fetched: usize,
    pub tell: Tell<'a>,
}

impl Walk<'_> {
    fn step(&self) -> i64 {
        self.asking.market.timeframe.millis()
    }

    /// The span from the wanted begin to a candle that opens at `head`.
    fn hole_before(&self, head: i64) -> Hole {
        Hole { from_ms: head - (head - self.begin_ms) / self.step() * self.step(), until_ms: head }
    }

    /// Moves the begin to the stored candles if `known` says that the source has no older ones.
    pub fn skip(&mut self, known: &KnownGaps) {
        if let Some(first) = self.series.first()
            && known.covers(&self.hole_before(first.open_ms))
        {
            self.begin_ms = first.open_ms;
        }
    }

    /// Fetches the candles after the last stored one, and that one once more.
    ///
    /// # Errors
    /// Those of the source; [`Error::BadCandle`] for candles that do not fit the stored ones; [`Error::Io`].
    pub async fn newer(&mut self) -> Result<()> {
        let Some(last) = self.series.last().map(|last| last.open_ms) else { return Ok(()) };
        let (mut from, mut length) = (last, PAGE * self.step());
        while from.max(last + self.step()) < self.until_ms {
            let span = Hole { from_ms: from, until_ms: self.until_ms.min(from + length) };
            let page = self.ask(span).await?;
            length = self.next_length(length, &page);
            let before = page.first().and_then(|first| self.series.last_before(first.open_ms));
            self.check(&before.into_iter().chain(&page).copied().collect::<Vec<_>>())?;
            self.series.after(&page);
            from = span.until_ms;
            self.told((self.until_ms - from) / self.step(), self.series.first().map(|first| first.open_ms));
        }
        Ok(())
    }

    /// Fetches older candles, until the wanted begin or until the source has none, which is added to `known`.
    ///
    /// # Errors
    /// Those of the source; [`Error::BadCandle`] for candles that do not fit together; [`Error::Io`]. The series has what was
    /// fetched before.
    pub async fn older(&mut self, known: &mut KnownGaps) -> Result<()> {
        let (wanted_ms, step) = (self.begin_ms, self.step());
        let mut head = self.series.first().map_or(self.until_ms, |first| first.open_ms);
        if head - self.begin_ms > MANY_PAGES * PAGE * step
            && let Some(first_ms) = self.asking.source.first_ms(self.asking.market, self.begin_ms).await?
        {
            (self.begin_ms, self.is_sure) = (self.begin_ms.max(first_ms), true);
        }
        let mut length = PAGE * step;
        // No candle opens between the first one and the grid point before it.
        while head - self.begin_ms >= if self.series.first().is_some() { step } else { 1 } {
            let span = Hole { from_ms: self.begin_ms.max(head - length), until_ms: head };
            let page = self.ask(span).await?;
            length = self.next_length(length, &page);
            // An answer may be incomplete: only an empty one proves that there are no candles.
            head = page.first().map_or(span.from_ms, |first| first.open_ms);
            if self.join_before(page)? {
                return Ok(());
            }
            self.told(0, Some(head));
        }
        self.begin_ms = wanted_ms;
        if let Some(first) = self.series.first()
            && first.open_ms - wanted_ms >= step
        {
            known.add(self.hole_before(first.open_ms));
        }
        Ok(())
    }

    /// Adds a page before the series. Returns whether the history ends in it, since older candles are of another asset.
    fn join_before(&mut self, mut page: Vec<Candle>) -> Result<bool> {
        let Some(first) = self.series.first().copied() else {
            self.check_first(&page)?;
            self.series.before(page);
            return Ok(false);
        };
        page.push(first);
        let is_step = |at: &usize| price_step(page[at - 1].close, page[*at].open);
        let cut = (1..page.len()).rev().find_map(|at| Some((at, is_step(&at)?)));
        if let Some((at, step)) = cut {
            self.findings.add(Cause::OtherAsset, 1, || {
                let (from, to, when) = (page[at - 1].close, page[at].open, format_iso(page[at].open_ms));
                format!("before {when}, where the price steps {step:.0}-fold, from {from} to {to}; `--since {when}` ends the search")
            });
            page.drain(..at);
        }
        self.check(&page)?;
        page.pop();
        self.series.before(page);
        Ok(cut.is_some())
    }

    /// Stores what was fetched, and requests the closed candles of a span.
    async fn ask(&mut self, span: Hole) -> Result<Vec<Candle>> {
        let mut series = std::mem::take(&mut self.series);
        self.series = threads::blocking(move || series.save().map(|()| series)).await?;
        let page = self.asking.ask(span, &mut self.findings).await?;
        self.fetched += page.len();
        self.findings.merge(notice(&page, &Calendar::always(self.step())).without(Cause::Gap));
        Ok(page)
    }

    /// After an empty answer, requests twice as much, so that a long hole costs few requests.
    fn next_length(&self, length: i64, page: &[Candle]) -> i64 {
        if page.is_empty() { length.saturating_mul(2) } else { PAGE * self.step() }
    }

    fn check_first(&self, page: &[Candle]) -> Result<()> {
        let found = check_steps(page, self.asking.market.timeframe);
        found.map_err(|(index, problem)| bad(&page[index], self.asking.market, problem))
    }

    fn check(&self, candles: &[Candle]) -> Result<()> {
        let found = check_pairs(candles, self.asking.market.timeframe);
        found.map(|_| ()).map_err(|(index, problem)| bad(&candles[index], self.asking.market, problem))
    }

    /// Reports progress: this many newer candles missing, and the older ones before `head`.
    fn told(&self, newer: i64, head: Option<i64>) {
        let older = head.map_or(0, |head| (head - self.begin_ms) / self.step()).max(0);
        let missing = usize::try_from(newer.max(0) + older).unwrap_or_default();
        let is_known = self.is_sure || older == 0;
        (self.tell)(Reached { fetched: self.fetched, missing: is_known.then_some(missing) });
    }
}

/// Turns an error while fetching older candles into a finding, except for disk errors.
pub(super) fn unfinished(error: Error, series: &Growing, findings: &mut Findings) -> Result<()> {
    match (error, series.first()) {
        (error @ Error::Io { .. }, _) | (error, None) => Err(error),
        (error, Some(first)) => {
            findings.add(Cause::Unfinished, 1, || format!("before {}: {error}", format_iso(first.open_ms)));
            Ok(())
        }
    }
}
