//! Reads from a certificate of our own the two things that are needed to go on issuing under it: when it ends, and
//! which key it speaks of. A walk along RFC 5280 4.1 over DER that we wrote ourselves, not a certificate parser.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

pub(super) struct Facts<'d> {
    /// Unix seconds.
    pub(super) not_after: i64,
    /// The SubjectPublicKeyInfo as it stands.
    pub(super) public_key: &'d [u8],
}

/// `None`: not the shape of a certificate that we make.
pub(super) fn facts(der: &[u8]) -> Option<Facts<'_>> {
    let mut outer = Reader(der);
    let mut certificate = Reader(outer.content(SEQUENCE)?);
    let mut tbs = Reader(certificate.content(SEQUENCE)?);
    tbs.content(VERSION)?;
    tbs.content(INTEGER)?; // serialNumber
    tbs.content(SEQUENCE)?; // signature
    tbs.content(SEQUENCE)?; // issuer
    let mut validity = Reader(tbs.content(SEQUENCE)?);
    validity.time()?; // notBefore
    let not_after = validity.time()?;
    tbs.content(SEQUENCE)?; // subject
    let (_, _, public_key) = tbs.next()?;
    Some(Facts { not_after, public_key })
}

struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    /// Tag, content, and the element whole.
    fn next(&mut self) -> Option<(u8, &'d [u8], &'d [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            short @ 0..=0x7f => (usize::from(*short), rest),
            0x81 => rest.split_first().map(|(n, rest)| (usize::from(*n), rest))?,
            0x82 => {
                let (n, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*n)), rest)
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        let (whole, _) = self.0.split_at_checked(self.0.len() - after.len())?;
        self.0 = after;
        Some((*tag, content, whole))
    }

    fn content(&mut self, tag: u8) -> Option<&'d [u8]> {
        self.next().filter(|(t, _, _)| *t == tag).map(|(_, content, _)| content)
    }

    /// RFC 5280 4.1.2.5: always with seconds, always Zulu.
    fn time(&mut self) -> Option<i64> {
        let (tag, text, _) = self.next()?;
        let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
        let (year, rest) = match tag {
            UTC_TIME => {
                let (year, rest) = text.split_at_checked(2)?;
                let year: i32 = year.parse().ok()?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            GENERALIZED_TIME => {
                let (year, rest) = text.split_at_checked(4)?;
                (year.parse().ok()?, rest)
            }
            _ => return None,
        };
        if rest.len() != 10 {
            return None;
        }
        let two = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
        let month = time::Month::try_from(two(0)?).ok()?;
        let date = time::Date::from_calendar_date(year, month, two(2)?).ok()?;
        let clock = time::Time::from_hms(two(4)?, two(6)?, two(8)?).ok()?;
        Some(time::PrimitiveDateTime::new(date, clock).assume_utc().unix_timestamp())
    }
}
