//! Names of candle columns, and which of them are used.

use std::str::FromStr;

/// The meaning of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The open time, or its date or its time of day.
    Time,
    /// First price.
    Open,
    /// Highest price.
    High,
    /// Lowest price.
    Low,
    /// Last price.
    Close,
    /// Volume in the base asset.
    Volume,
    /// A volume whose name does not say that it is in the base asset.
    SomeVolume,
    /// The close time.
    CloseTime,
    /// Whether the candle has closed: 0 or 1.
    Closed,
}

/// The meaning of a column or member by its name; `None` for an unused one. Case, spaces, and characters such as `_`, `<` and `(`
/// are ignored, except for single letters: Binance's streams write the open time `t` and the close time `T`.
pub fn role(name: &str) -> Option<Role> {
    match name {
        "t" => return Some(Role::Time),
        "T" => return Some(Role::CloseTime),
        "V" => return Some(Role::SomeVolume),
        _ => {}
    }
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    Some(match plain.as_str() {
        "timestamp" | "time" | "opentime" | "timeopen" | "date" | "datetime" | "ts" | "mts" | "start" | "starttime"
        | "startat" | "startts" | "starttimestamp" | "startdate" | "timestart" | "begin" | "begintime" | "begins"
        | "opentimestamp" | "opents" | "opendate" | "opendatetime" | "timeperiodstart" | "unix" | "unixtime"
        | "unixtimestamp" | "epoch" | "epochtime" | "utc" | "utctime" | "timeutc" | "dateutc" | "datetimeutc"
        | "timestamputc" | "gmttime" | "localtime" | "dt" => Role::Time,
        "closetime" | "timeclose" | "endtime" | "end" | "endts" | "timeend" | "closetimestamp" | "closedate"
        | "timeperiodend" => Role::CloseTime,
        "open" | "o" | "openprice" | "priceopen" => Role::Open,
        "high" | "h" | "highprice" | "pricehigh" => Role::High,
        "low" | "l" | "lowprice" | "pricelow" => Role::Low,
        "close" | "c" | "closeprice" | "priceclose" => Role::Close,
        "volume" | "basevolume" | "volumebase" | "baseassetvolume" | "volumetraded" => Role::Volume,
        "confirm" => Role::Closed,
        "v" | "amount" => Role::SomeVolume,
        other if other.starts_with("vol") => Role::SomeVolume,
        _ => return None,
    })
}

/// Which column has which meaning. Parsed from names separated by commas, such as `time,open,close,high,low,volume`. Columns with
/// other names are not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The names as given.
    pub(super) names: Vec<String>,
    /// Columns of the open time: one, or a date and a time of day, or several equal ones.
    pub(super) times: Vec<usize>,
    /// Columns of open, high, low, close.
    pub(super) prices: [usize; 4],
    /// The volume in the base asset, or several candidates that the rows must decide between; empty without volume.
    pub(super) volumes: Vec<usize>,
    pub(super) close_time: Option<usize>,
    pub(super) closed: Option<usize>,
}

impl Columns {
    /// Columns with these names, in order.
    ///
    /// # Errors
    /// A description of the column that is missing or ambiguous.
    pub(super) fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let names: Vec<String> = names.into_iter().map(|name| name.trim().to_owned()).collect();
        let roles: Vec<Option<Role>> = names.iter().map(|name| role(name)).collect();
        let of = |wanted: Role| -> Vec<usize> { (0..roles.len()).filter(|&at| roles[at] == Some(wanted)).collect() };
        let one = |wanted: Role, name: &str| match of(wanted).as_slice() {
            [] => Ok(None),
            &[at] => Ok(Some(at)),
            [_, other, ..] => Err(format!("more than one column could be `{name}`, for example `{}`", names[*other])),
        };
        let need = |wanted: Role, name: &str| one(wanted, name)?.ok_or_else(|| format!("no column is named `{name}`"));
        let times = of(Role::Time);
        if times.is_empty() {
            return Err("no column is named `timestamp`".to_owned());
        }
        let prices = [
            need(Role::Open, "open")?,
            need(Role::High, "high")?,
            need(Role::Low, "low")?,
            need(Role::Close, "close")?,
        ];
        let volumes = match one(Role::Volume, "volume")? {
            Some(at) => vec![at],
            None => of(Role::SomeVolume),
        };
        let (close_time, closed) = (one(Role::CloseTime, "close_time")?, one(Role::Closed, "confirm")?);
        Ok(Self { times, prices, volumes, close_time, closed, names })
    }

    /// The number of columns.
    pub(super) fn count(&self) -> usize {
        self.names.len()
    }
}

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::named(text.split(','))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_however_it_is_written() {
        let cases = [
            ("Open Time", Some(Role::Time)),
            ("<DATE>", Some(Role::Time)),
            ("Gmt time", Some(Role::Time)),
            ("time_period_start", Some(Role::Time)),
            ("t", Some(Role::Time)),
            ("T", Some(Role::CloseTime)),
            ("closeTime", Some(Role::CloseTime)),
            ("<OPEN>", Some(Role::Open)),
            ("H", Some(Role::High)),
            ("Volume", Some(Role::Volume)),
            ("base_volume", Some(Role::Volume)),
            ("<VOL>", Some(Role::SomeVolume)),
            ("Volume BTC", Some(Role::SomeVolume)),
            ("<TICKVOL>", None),
            ("quote_volume", None),
            ("Adj Close", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(role(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_missing_or_there_twice_is_told() {
        for (names, problem) in [
            ("open,high,low,close,volume", "no column is named `timestamp`"),
            ("time,open,high,close,volume", "no column is named `low`"),
            ("time,open,open,high,low,close,volume", "more than one column could be `open`, for example `open`"),
            (
                "time,open,high,low,close,volume,base_volume",
                "more than one column could be `volume`, for example `base_volume`",
            ),
        ] {
            assert_eq!(names.parse::<Columns>().unwrap_err(), problem);
        }
        let fx: Columns = "date,time,open,high,low,close".parse().unwrap();
        assert_eq!((fx.times, fx.volumes, fx.prices), (vec![0, 1], vec![], [2, 3, 4, 5]));
    }
}
