//! Time zones by IANA name, from the tz database that is built in.
//!
//! The tables come from jiff (200 kB); those of chrono-tz would take 2 MB.

use chrono::{
    Datelike, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Timelike, Utc,
};
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{self, AmbiguousOffset, TimeZoneDatabase};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
static UTC: tz::TimeZone = tz::TimeZone::UTC;
/// The zones used so far. They are never freed; there are about six hundred names.
static KNOWN: LazyLock<Mutex<HashMap<String, Tz>>> = LazyLock::new(Mutex::default);

/// A time zone.
#[derive(Clone, Copy)]
pub struct Tz {
    name: &'static str,
    zone: &'static tz::TimeZone,
}

impl Tz {
    /// Coordinated universal time.
    pub const UTC: Self = Self { name: "UTC", zone: &UTC };

    /// Its IANA name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The names of all zones.
    pub fn names() -> Vec<String> {
        DATABASE.available().map(|name| name.to_string()).collect()
    }
}

impl FromStr for Tz {
    type Err = String;

    /// Parses an IANA name, in the spelling of the tz database: `Europe/Berlin`.
    fn from_str(name: &str) -> Result<Self, String> {
        if name == Self::UTC.name {
            return Ok(Self::UTC);
        }
        let mut known = KNOWN.lock();
        if let Some(zone) = known.get(name) {
            return Ok(*zone);
        }
        let zone = DATABASE.get(name).ok().filter(|zone| zone.iana_name() == Some(name));
        let zone = zone.ok_or_else(|| format!("{name:?} is not a time zone of the tz database"))?;
        let kept = Self { name: String::leak(name.to_owned()), zone: Box::leak(Box::new(zone)) };
        known.insert(name.to_owned(), kept);
        Ok(kept)
    }
}

impl PartialEq for Tz {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Tz {}

impl fmt::Display for Tz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Tz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The offset of a zone from UTC at some time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TzOffset {
    zone: Tz,
    fixed: FixedOffset,
}

impl Offset for TzOffset {
    fn fix(&self) -> FixedOffset {
        self.fixed
    }
}

impl fmt::Display for TzOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fixed.fmt(f)
    }
}

impl fmt::Debug for TzOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.fixed, f)
    }
}

impl Tz {
    fn offset(self, offset: tz::Offset) -> Option<TzOffset> {
        Some(TzOffset { zone: self, fixed: FixedOffset::east_opt(offset.seconds())? })
    }

    fn offsets_of(self, local: &NaiveDateTime) -> Option<MappedLocalTime<TzOffset>> {
        let number = |x: u32| i8::try_from(x).ok();
        let date = civil::Date::new(i16::try_from(local.year()).ok()?, number(local.month())?, number(local.day())?);
        let clock = civil::Time::new(number(local.hour())?, number(local.minute())?, number(local.second())?, 0);
        let local = civil::DateTime::from_parts(date.ok()?, clock.ok()?);
        Some(match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => MappedLocalTime::Single(self.offset(offset)?),
            AmbiguousOffset::Fold { before, after } => {
                MappedLocalTime::Ambiguous(self.offset(before)?, self.offset(after)?)
            }
            AmbiguousOffset::Gap { .. } => MappedLocalTime::None,
        })
    }
}

impl TimeZone for Tz {
    type Offset = TzOffset;

    fn from_offset(offset: &TzOffset) -> Self {
        offset.zone
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<TzOffset> {
        self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
    }

    /// `None` for a local time that clocks skip, and beyond the years −9999 to 9999.
    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<TzOffset> {
        self.offsets_of(local).unwrap_or(MappedLocalTime::None)
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> TzOffset {
        self.offset_from_utc_datetime(&utc.and_time(NaiveTime::MIN))
    }

    /// Beyond the years −9999 to 9999, uses the offset of the epoch.
    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> TzOffset {
        let second = Timestamp::from_second(utc.and_utc().timestamp()).unwrap_or(Timestamp::UNIX_EPOCH);
        // Offsets in the tz database are less than a day, as chrono requires.
        let utc = TzOffset { zone: *self, fixed: Utc.fix() };
        self.offset(self.zone.to_offset(second)).unwrap_or(utc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use proptest::prelude::*;

    #[test]
    fn names_are_read_as_the_database_spells_them() {
        let berlin: Tz = "Europe/Berlin".parse().unwrap();
        assert_eq!(
            (berlin.name(), berlin, "UTC".parse()),
            ("Europe/Berlin", "Europe/Berlin".parse().unwrap(), Ok(Tz::UTC))
        );
        assert!(Tz::names().len() > 400);
        for wrong in ["Europe/Nowhere", "europe/berlin", "", "+02:00"] {
            assert!(wrong.parse::<Tz>().is_err(), "{wrong}");
        }
    }

    /// Whether both libraries agree on every day of ten years and on local times around each clock change; also the number of
    /// local times that were skipped or repeated.
    fn agree(ours: Tz, other: chrono_tz::Tz) -> (bool, usize) {
        let mut changed = 0;
        for day in 0..3653 {
            let noon = DateTime::from_timestamp(1_420_113_600 + day * 86_400, 0).unwrap().naive_utc();
            let fixed = |at: &NaiveDateTime| ours.offset_from_utc_datetime(at).fix();
            if fixed(&noon) != other.offset_from_utc_datetime(&noon).fix() {
                return (false, changed);
            }
            if fixed(&noon) == fixed(&(noon + chrono::Duration::days(1))) {
                continue;
            }
            for quarter in 0..96 {
                let local = noon + chrono::Duration::minutes(15 * quarter);
                let said = ours.offset_from_local_datetime(&local).map(|offset| offset.fix());
                if said != other.offset_from_local_datetime(&local).map(|offset| offset.fix()) {
                    return (false, changed);
                }
                changed += usize::from(said.single().is_none());
            }
        }
        (true, changed)
    }

    #[test]
    fn clocks_change_as_in_chrono_tz() {
        let (mut zones, mut changed, mut others) = (0, 0, Vec::new());
        for other in chrono_tz::TZ_VARIANTS {
            let Ok(ours) = other.name().parse::<Tz>() else { continue };
            let (same, here) = agree(ours, other);
            (zones, changed) = (zones + 1, changed + here);
            if !same {
                others.push(ours);
            }
        }
        // The libraries contain different editions of the database, so a few zones may differ.
        assert!(zones >= 400 && changed > 2000 && others.len() <= 8, "{zones} zones, {changed} changes, {others:?}");
    }

    proptest! {
        #[test]
        fn no_time_is_too_far_away(seconds in i64::MIN / 1_000_000..i64::MAX / 1_000_000) {
            let zone: Tz = "America/New_York".parse().unwrap();
            if let Some(time) = DateTime::from_timestamp(seconds, 0) {
                let utc = time.naive_utc();
                let offset = zone.offset_from_utc_datetime(&utc).fix().local_minus_utc();
                prop_assert!((-86_400..86_400).contains(&offset));
                let _ = zone.offset_from_local_datetime(&utc);
            }
        }
    }
}
