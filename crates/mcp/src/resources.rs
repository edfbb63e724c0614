//! The resources: what a client may read as a whole.

use super::Server;
use domain::error::{Error, Result};
use domain::threads::blocking;
use report::{Filter, Gatherer, Place, Report, Revision, render, to_json};
use rmcp::model::{Resource, ResourceContents};
use serde_json::{Value, json};
use std::sync::Arc;

/// The URI of the report.
pub const REPORT: &str = "signalloop://report";

/// A resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    Report,
    ReportData,
    Configuration,
    Figures,
}

/// What figures mean; the text of the documentation.
const FIGURES: &str = include_str!("../../../docs/live-results.md");

impl Name {
    const ALL: [Self; 4] = [Self::Report, Self::ReportData, Self::Configuration, Self::Figures];

    fn uri(self) -> &'static str {
        match self {
            Self::Report => REPORT,
            Self::ReportData => "signalloop://report/data",
            Self::Configuration => "signalloop://configuration",
            Self::Figures => "signalloop://docs/figures",
        }
    }

    /// The resource of this URI.
    pub fn named(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.uri() == uri)
    }

    fn listed(self) -> Resource {
        let (name, kind, what) = match self {
            Self::Report => ("report", "text/html", "The report as one HTML page, made now, for a person to look at."),
            Self::ReportData => {
                ("report-data", "application/json", "The data that the report draws; times are UTC epoch ms.")
            }
            Self::Configuration => (
                "configuration",
                "application/json",
                "The configuration in force, and the scheduler's, without secrets.",
            ),
            Self::Figures => {
                ("figures", "text/markdown", "What the figures of live results mean, and how they are computed.")
            }
        };
        Resource::new(self.uri(), name).with_description(what).with_mime_type(kind)
    }
}

/// All resources.
pub fn list() -> Vec<Resource> {
    Name::ALL.map(Name::listed).into()
}

/// The report as of now. It writes nothing.
pub async fn gather(server: &Server) -> Result<Report> {
    let revision = Revision::of(server.core());
    Arc::new(Gatherer::default()).gather(server.core(), &Filter::default(), &revision).await
}

/// Reads a resource.
pub async fn read(server: Server, name: Name) -> Result<ResourceContents> {
    if name != Name::Figures {
        server.check_home()?;
    }
    let (text, kind) = match name {
        Name::Report => (render(&to_json(&gather(&server).await?)?, Place::File), "text/html"),
        Name::ReportData => (to_json(&gather(&server).await?)?, "application/json"),
        Name::Configuration => (blocking(move || configuration(&server)).await?, "application/json"),
        Name::Figures => (FIGURES.to_owned(), "text/markdown"),
    };
    Ok(ResourceContents::text(text, name.uri()).with_mime_type(kind))
}

/// The settings by name. They are chosen here one by one, so that a secret which is added to the configuration some day is not told.
fn configuration(server: &Server) -> Result<String> {
    let config = server.core().settings().config();
    let poor = config.poor_performance;
    let mut told = json!({
        "symbols": config.symbols,
        "timeframes": config.timeframes,
        "exchange": config.exchange.as_str(),
        "historyDays": config.history_days,
        "retrainIntervalHours": config.retrain_interval.as_secs_f64() / 3600.0,
        "timezone": config.timezone.name(),
        "feeBps": config.fee_bps,
        "fundingBpsPerDay": config.funding_bps_per_day,
        "leverage": config.leverage,
        "takeConfidence": config.take_confidence,
        "kellyFraction": config.kelly_fraction,
        "signal": {
            "stopAtr": config.signal.stop_atr, "rewardRisk": config.signal.reward_risk, "expiryBars": config.signal.expiry_bars,
        },
        "poorPerformance": {
            "minSignals": poor.min_signals, "windowDays": poor.window_days, "successThreshold": poor.success_threshold,
            "conservativeMargin": poor.conservative_margin,
        },
        "scheduler": server.core().scheduler().status()?.to_json(),
        "warnings": server.core().settings().warnings(),
    });
    if let Value::Object(members) = &mut told {
        members.retain(|_, value| !value.is_null());
    }
    serde_json::to_string_pretty(&told).map_err(|e| Error::Internal(format!("the configuration cannot be told: {e}")))
}
