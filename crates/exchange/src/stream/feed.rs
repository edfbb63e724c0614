//! How each exchange is reached and spoken to.

use super::binance::Binance;
use super::bybit::Bybit;
use super::coinbase::Coinbase;
use super::kraken::Kraken;
use super::kucoin::Kucoin;
use super::okx::Okx;
use super::protocol::Protocol;
use crate::Exchange;
use domain::error::{Error, Result};
use domain::venue::Venue;
use reqwest::Url;
use std::sync::Arc;

/// The address that the exchange documents: of its WebSocket, but for KuCoin of the REST API that tells the WebSocket's.
fn own_url(venue: Venue) -> &'static str {
    match venue {
        // developers.binance.com, "Web Socket Streams for Binance": this host has market data only.
        Venue::Binance => "wss://data-stream.binance.vision/ws",
        Venue::BinanceTestnet => "wss://stream.testnet.binance.vision/ws",
        // "Important WebSocket Change Notice" of 2026-03-06: trades are served below /market only.
        Venue::BinanceUsdm => "wss://fstream.binance.com/market/ws",
        Venue::BinanceUsdmTestnet => "wss://fstream.binancefuture.com/market/ws",
        // bybit-exchange.github.io/docs/v5/ws/connect
        Venue::Bybit => "wss://stream.bybit.com/v5/public/spot",
        // www.okx.com/docs-v5, "Production Trading Services"
        Venue::Okx => "wss://ws.okx.com:8443/ws/v5/public",
        // docs.kraken.com/api/docs/guides/spot-ws-intro
        Venue::Kraken => "wss://ws.kraken.com/v2",
        // docs.cdp.coinbase.com/exchange/websocket-feed/overview
        Venue::Coinbase => "wss://ws-feed.exchange.coinbase.com",
        // www.kucoin.com/docs-new/websocket-api/base-info/introduction
        Venue::Kucoin => "https://api.kucoin.com",
    }
}

/// How the exchange speaks, at `url` or at its own address. `exchange` is the client of its REST API.
///
/// # Errors
/// [`Error::InvalidArgument`] if the URL is not of the kind that the exchange needs.
pub(super) fn protocol(exchange: &Arc<Exchange>, url: Option<&str>) -> Result<Box<dyn Protocol>> {
    let venue = exchange.venue();
    let asks_first = venue == Venue::Kucoin;
    let text = url.unwrap_or_else(|| own_url(venue)).trim().trim_end_matches('/');
    let allowed = if asks_first { ["http", "https"] } else { ["ws", "wss"] };
    let parsed = Url::parse(text).ok().filter(|url| allowed.contains(&url.scheme()) && url.has_host());
    let problem = match asks_first {
        true => "must be an http(s) URL, since KuCoin's REST API tells where to connect",
        false => "must be a ws(s) URL such as wss://data-stream.binance.vision/ws",
    };
    let url = parsed.map(|_| text.to_owned()).ok_or_else(|| Error::argument("stream_url", problem, text))?;
    Ok(match venue {
        Venue::Binance | Venue::BinanceTestnet => Box::new(Binance::spot(url)),
        Venue::BinanceUsdm | Venue::BinanceUsdmTestnet => Box::new(Binance::futures(url)),
        Venue::Bybit => Box::new(Bybit::new(url)),
        Venue::Okx => Box::new(Okx::new(url)),
        Venue::Kraken => Box::new(Kraken::new(url)),
        Venue::Coinbase => Box::new(Coinbase::new(url)),
        Venue::Kucoin if url == own_url(venue) => Box::new(Kucoin::new(exchange.clone())),
        Venue::Kucoin => Box::new(Kucoin::new(Arc::new(Exchange::new(venue, Some(&url))?))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exchange_has_an_address_of_its_kind() {
        for venue in Venue::ALL {
            let exchange = Arc::new(Exchange::new(venue, None).unwrap());
            protocol(&exchange, None).unwrap();
            for wrong in ["", "nowhere", "ftp://x", if venue == Venue::Kucoin { "wss://x" } else { "https://x" }] {
                let error = protocol(&exchange, Some(wrong)).unwrap_err();
                assert!(error.code() == "ERR_INVALID_ARGUMENT" && error.to_string().contains("stream_url"), "{error}");
            }
        }
    }
}
