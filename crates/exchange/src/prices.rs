//! Sources of current prices.

use domain::error::{Error, Result};
use domain::symbol::Symbol;
use serde_json::Value;
use std::collections::HashMap;
use std::pin::Pin;

/// The result of [`PriceSource::prices`]: each symbol with its price, or why there is none.
pub type PriceFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<(Symbol, Result<f64>)>>> + Send + 'a>>;

/// A source of current prices: the exchange, or a user's callback.
pub trait PriceSource: Send + Sync {
    /// The last prices of `symbols`, in order.
    ///
    /// # Errors
    /// [`Error::Exchange`] if no price can be had at all.
    fn prices<'a>(&'a self, symbols: &'a [Symbol]) -> PriceFuture<'a>;
}

/// The prices of `symbols` in a caller's answer: an object with a number for each, by symbols in any spelling. Others are ignored.
///
/// # Errors
/// [`Error::Exchange`] if the answer is no object.
pub fn given_prices(symbols: &[Symbol], answer: &Value) -> Result<Vec<(Symbol, Result<f64>)>> {
    let shown = |value: &Value| value.to_string().chars().take(80).collect::<String>();
    let Value::Object(given) = answer else {
        let said =
            format!("prices: fetchPrices must return an object or a Map of prices by symbol; got {}", shown(answer));
        return Err(Error::Exchange(said));
    };
    let mut found: HashMap<Symbol, Vec<(&String, &Value)>> = HashMap::with_capacity(given.len());
    for (name, price) in given {
        if let Ok(symbol) = Symbol::parse(name) {
            found.entry(symbol).or_default().push((name, price));
        }
    }
    let price = |symbol: &Symbol| {
        let failed = |said: String| Err(Error::Exchange(format!("{symbol}: fetchPrices {said}")));
        match found.get(symbol).map(Vec::as_slice) {
            None | Some([(_, Value::Null), ..]) => failed("returned no price of it".to_owned()),
            Some([(name, one), (other_name, other), ..]) if one != other => {
                failed(format!("returned two prices: {} as {name}, {} as {other_name}", shown(one), shown(other)))
            }
            Some([(_, price), ..]) => match price.as_f64().filter(|price| price.is_finite() && *price > 0.0) {
                Some(price) => Ok(price),
                None => failed(format!("must return a number above 0; got {}", shown(price))),
            },
            Some([]) => failed("returned no price of it".to_owned()),
        }
    };
    Ok(symbols.iter().map(|symbol| (symbol.clone(), price(symbol))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn prices_are_found_by_any_spelling_and_a_bad_one_fails_alone() {
        let symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT"].map(|name| Symbol::parse(name).unwrap());
        let answer = json!({
            "BTC/USDT": 65_000.5, "ETHUSDT": "NaN", "sol-usdt": 150, "SOLUSDT": 151, "XRPUSDT": null, "DOTUSDT": -1, "../x": 1,
        });
        let found = given_prices(&symbols, &answer).unwrap();
        assert_eq!(found.iter().map(|(symbol, _)| symbol).collect::<Vec<_>>(), symbols.iter().collect::<Vec<_>>());
        assert_eq!(found[0].1.clone().unwrap().to_bits(), 65_000.5_f64.to_bits());
        let said: Vec<String> = found[1..].iter().map(|(_, price)| price.clone().unwrap_err().to_string()).collect();
        let expected = [
            "ETHUSDT: fetchPrices must return a number above 0; got \"NaN\"",
            "SOLUSDT: fetchPrices returned two prices: 150 as sol-usdt, 151 as SOLUSDT",
            "XRPUSDT: fetchPrices returned no price of it",
            "ADAUSDT: fetchPrices returned no price of it",
        ];
        assert_eq!(said, expected);
        for answer in [json!(null), json!([65_000]), json!(5)] {
            let error = given_prices(&symbols, &answer).unwrap_err();
            assert!(error.code() == "ERR_EXCHANGE" && error.to_string().contains("must return an object"), "{error}");
        }
    }
}
