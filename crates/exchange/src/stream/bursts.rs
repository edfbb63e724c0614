//! The prices of a symbol since they were last taken.

/// A price and when it arrived.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamedPrice {
    /// Finite and above 0.
    pub price: f64,
    /// When it arrived, by the clock of the stream, UTC epoch ms.
    pub time_ms: i64,
}

/// The first, lowest, highest and last of some prices, each with its place in their order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Burst {
    first: (u64, StreamedPrice),
    low: (u64, StreamedPrice),
    high: (u64, StreamedPrice),
    last: (u64, StreamedPrice),
}

impl Burst {
    pub(super) fn of(price: StreamedPrice) -> Self {
        let only = (0, price);
        Self { first: only, low: only, high: only, last: only }
    }

    pub(super) fn add(&mut self, price: StreamedPrice) {
        let next = (self.last.0 + 1, price);
        if price.price < self.low.1.price {
            self.low = next;
        }
        if price.price > self.high.1.price {
            self.high = next;
        }
        self.last = next;
    }

    /// The prices in the order in which they came, at most four.
    pub(super) fn prices(self) -> Vec<StreamedPrice> {
        let mut kept = vec![self.first, self.low, self.high, self.last];
        kept.sort_by_key(|(place, _)| *place);
        kept.dedup_by_key(|(place, _)| *place);
        kept.into_iter().map(|(_, price)| price).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(prices: &[f64]) -> Vec<f64> {
        let at = |(index, price): (usize, &f64)| StreamedPrice { price: *price, time_ms: index as i64 };
        let mut all = prices.iter().enumerate().map(at);
        let mut burst = Burst::of(all.next().unwrap());
        all.for_each(|price| burst.add(price));
        let kept = burst.prices();
        assert!(kept.is_sorted_by_key(|price| price.time_ms));
        kept.into_iter().map(|price| price.price).collect()
    }

    #[test]
    fn what_matters_of_a_burst_stays_in_its_order() {
        assert_eq!(kept(&[5.0]), [5.0]);
        assert_eq!(kept(&[5.0, 6.0]), [5.0, 6.0]);
        assert_eq!(kept(&[5.0, 9.0, 7.0, 1.0, 4.0, 6.0]), [5.0, 9.0, 1.0, 6.0]);
        assert_eq!(kept(&[5.0, 1.0, 7.0, 9.0, 4.0]), [5.0, 1.0, 9.0, 4.0]);
        assert_eq!(kept(&[9.0, 8.0, 7.0]), [9.0, 7.0]);
        assert_eq!(kept(&[5.0, 5.0, 5.0]), [5.0, 5.0]);
    }
}
