//! The grammars inside strings: durations, limits, addresses, hosts, URLs, methods.

use super::Share;
use countersign_core::check::{limit::RateLimit, route::HostPattern};
use countersign_gateway::{ListenAddress, UnixAddress};
use http::Method;
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};
use url::Url;

const DAY: u64 = 86_400;
/// Beyond a thousand years it is a typing mistake, and would overflow a timestamp later.
const LONGEST: u64 = 1000 * 365 * DAY;

/// `250ms`, `30s`, `15m`, `24h`, `90d`, `1y` (365 days). One number, one unit, more than nothing.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok().filter(|n| *n > 0)?;
    let unit = match unit {
        "ms" => return Some(Duration::from_millis(number)).filter(|d| d.as_secs() <= LONGEST),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => DAY,
        "w" => 7 * DAY,
        "y" => 365 * DAY,
        _ => return None,
    };
    let seconds = number.checked_mul(unit).filter(|s| *s <= LONGEST)?;
    Some(Duration::from_secs(seconds))
}

/// The largest unit that says it exactly.
pub fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [("d", DAY * 1000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let fits = units.iter().find(|(_, unit)| millis > 0 && millis.is_multiple_of(u128::from(*unit)));
    match fits {
        Some((name, unit)) => format!("{}{name}", millis / u128::from(*unit)),
        None => format!("{millis}ms"),
    }
}

/// `100/1m`, `100/m`, `5000/24h`.
pub fn parse_limit(text: &str) -> Option<RateLimit> {
    let (quota, window) = text.split_once('/')?;
    let window = if window.starts_with(|c: char| c.is_ascii_digit()) {
        parse_duration(window)
    } else {
        parse_duration(&format!("1{window}"))
    }?;
    let quota = quota.parse().ok().filter(|q| *q > 0)?;
    Some(RateLimit { quota, window })
}

/// `2027-01-31`: its first moment, in UTC.
pub(super) fn day(text: &str) -> Result<jiff::Timestamp, String> {
    let wrong = || format!("`{text}` is not a day such as `2027-01-31`");
    let day: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
    jiff::tz::TimeZone::UTC.to_timestamp(day.to_datetime(jiff::civil::Time::midnight())).map_err(|_| wrong())
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "`{text}` is not an address with a port, such as `127.0.0.1:8443`, `0.0.0.0:8443` or `[::1]:8443`"
        )
    })
}

/// The same, or `unix:` and a path, which is relative to the folder of the file.
pub(super) fn listen(text: &str, folder: &Path) -> Result<ListenAddress, String> {
    let Some(path) = text.strip_prefix("unix:") else {
        return address(text).map(ListenAddress::Tcp);
    };
    let path = folder.join(path);
    if text == "unix:" || path.as_os_str().len() > UnixAddress::MAX_PATH {
        return Err(format!("`{text}` is not a path of 1 to {} bytes", UnixAddress::MAX_PATH));
    }
    Ok(ListenAddress::Unix(UnixAddress { path, mode: UnixAddress::DEFAULT_MODE }))
}

/// `10.0.0.0/8`, or one address. Mapped addresses are unmapped where callers are, so such a network would never match.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let network =
        network.map_err(|_| format!("`{text}` is not a network such as `10.0.0.0/8` or `2001:db8::/32`"))?;
    if network.trunc() != network {
        return Err(format!("`{text}` has host bits; say `{}`", network.trunc()));
    }
    match network {
        IpNet::V6(six) if six.addr().to_ipv4_mapped().is_some() => {
            Err(format!("`{text}` is a mapped IPv4 network; say it as one of IPv4"))
        }
        network => Ok(network),
    }
}

/// `1%`, `0.1%`, `100%`: from nothing to all.
pub(super) fn share(text: &str) -> Result<Share, String> {
    let refused = || format!("`{text}` is not a share such as `1%`, `0.1%` or `100%`");
    let digits = text.strip_suffix('%').ok_or_else(refused)?;
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(rest) || whole.len() > 3 || rest.len() > 4 {
        return Err(refused());
    }
    let whole: u32 = whole.parse().map_err(|_| refused())?;
    let rest: u32 = format!("{rest:0<4}").parse().map_err(|_| refused())?;
    let millionths = whole * 10_000 + rest;
    if millionths > Share::ALL.0 { Err(refused()) } else { Ok(Share(millionths)) }
}

/// As [`share`] reads it.
pub(super) fn show_share(Share(millionths): Share) -> String {
    let (whole, rest) = (millionths / 10_000, format!("{:04}", millionths % 10_000));
    match rest.trim_end_matches('0') {
        "" => format!("{whole}%"),
        rest => format!("{whole}.{rest}%"),
    }
}

/// One host, no pattern of several.
pub(super) fn one_host(text: &str) -> Result<String, String> {
    match host(text)? {
        HostPattern::Exact(name) => Ok(name.into_string()),
        _ => Err(format!("`{text}` is not one host")),
    }
}

/// Permission bits as `chmod` takes them: `0660`.
pub(super) fn mode(text: &str) -> Result<u32, String> {
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| octal && *mode <= 0o777);
    mode.ok_or_else(|| format!("`{text}` is not a mode such as `0600` or `0660`"))
}

/// `*`, `api.example.com` or `*.example.com`; held in lower case.
pub(super) fn host(text: &str) -> Result<HostPattern, String> {
    if text == "*" {
        return Ok(HostPattern::Any);
    }
    let lower = text.to_ascii_lowercase();
    let (name, below) = match lower.strip_prefix("*.") {
        Some(rest) => (rest, true),
        None => (lower.as_str(), false),
    };
    if name.contains(':') && !name.starts_with('[') {
        return Err(format!("`{text}` has a port; routes match the host on every port"));
    }
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let literal = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let good = match literal {
        Some(v6) => !below && v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.len() <= 253 && name.split('.').all(label),
    };
    if !good {
        return Err(format!("`{text}` is not a host such as `api.example.com`, `*.example.com` or `*`"));
    }
    Ok(if below { HostPattern::Below(format!(".{name}").into()) } else { HostPattern::Exact(name.into()) })
}

/// Where an upstream is: scheme, host and port, nothing else. What is not said cannot be lost.
pub(super) fn upstream_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|e| format!("`{text}` is not a URL such as `http://127.0.0.1:3000`: {e}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        // the value itself is a secret then
        return Err("holds credentials; a URL is shown and logged, so they cannot stand in it".into());
    }
    match url.scheme() {
        "http" | "https" => {}
        other => {
            return Err(format!(
                "`{other}` is not a scheme of an upstream; say `http://host:port` or `https://host`"
            ));
        }
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(format!("`{text}` names no host"));
    }
    if url.path() != "/" {
        return Err(format!("`{text}` has a path; requests go upstream with the path that was judged"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("`{text}` has a query or a fragment; only scheme, host and port are taken"));
    }
    Ok(url)
}

/// `https://host/path`, without credentials and fragment (RFC 8707 2).
pub(super) fn resource(text: &str) -> Result<std::sync::Arc<str>, String> {
    let url = Url::parse(text).map_err(|e| format!("`{text}` is not a URL: {e}"))?;
    let clean = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if url.scheme() != "https" || !clean {
        return Err(format!("`{text}` is not an `https://` URL without credentials and fragment"));
    }
    Ok(text.into())
}

pub(super) fn method(text: &str) -> Result<Method, String> {
    if text.bytes().any(|b| b.is_ascii_lowercase()) {
        return Err(format!("`{text}`: methods are case-sensitive; say `{}`", text.to_ascii_uppercase()));
    }
    let method = Method::from_bytes(text.as_bytes()).map_err(|_| format!("`{text}` is not a method"))?;
    // RULES 2.2: TRACE and CONNECT are refused everywhere
    if method == Method::TRACE || method == Method::CONNECT {
        return Err(format!("`{text}` is never let through"));
    }
    Ok(method)
}

pub(super) fn store_url(text: &str) -> Result<String, String> {
    let known = text.strip_prefix("sqlite:").is_some_and(|file| !file.is_empty())
        || text.starts_with("postgres://")
        || text.starts_with("postgresql://");
    if known {
        return Ok(text.to_owned());
    }
    // a mistyped database URL can hold a password: do not repeat it
    Err("is neither `sqlite:FILE` nor `postgres://...`".into())
}
