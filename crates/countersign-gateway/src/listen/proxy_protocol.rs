//! The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`): a balancer that forwards bytes says before
//! them from where they came. Read from listed peers, and required there (RULES 3.1); bytes after the header are never
//! touched.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What the header says about the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The connection is forwarded for this address.
    Named(IpAddr),
    /// The peer speaks for itself: a health check.
    Own,
    /// Forwarded, for somebody whose address the peer does not know or cannot say.
    Unknown,
}

/// How a reader goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many more bytes certainly belong to the header.
    Need(usize),
    Done(Source),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no PROXY protocol header: {0}")]
pub struct Malformed(pub &'static str);

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Section 2.1: the longest line with its end.
const V1_MOST: usize = 107;
/// Addresses take 36 (216 for Unix paths); the rest are TLVs, which are skipped. A peer that sends more is none of ours.
const V2_MOST: usize = 2048;
/// The longest header.
pub const MOST: usize = 16 + V2_MOST;

/// Given all bytes of the header so far, from none: what next. Never asks for a byte beyond the header.
pub fn step(read: &[u8]) -> Result<Step, Malformed> {
    // 12 are in every header: the shortest line has 15
    if read.len() < SIGNATURE.len() {
        return Ok(Step::Need(SIGNATURE.len() - read.len()));
    }
    if read.starts_with(SIGNATURE) {
        return step_v2(read);
    }
    if read.starts_with(b"PROXY ") {
        return step_v1(read);
    }
    Err(Malformed("it begins like neither version"))
}

fn step_v1(read: &[u8]) -> Result<Step, Malformed> {
    let Some(line) = read.strip_suffix(b"\r\n") else {
        if read.len() >= V1_MOST {
            return Err(Malformed("the line is too long"));
        }
        // two bytes end a line, of which one may be here
        return Ok(Step::Need(if read.ends_with(b"\r") { 1 } else { 2.min(V1_MOST - read.len()) }));
    };
    if line.iter().any(|b| matches!(b, b'\r' | b'\n')) {
        return Err(Malformed("a line end within the line"));
    }
    let line = std::str::from_utf8(line).map_err(|_| Malformed("the line is not text"))?;
    let mut words = line.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        // section 2.1: the rest is to be ignored
        return Ok(Step::Done(Source::Unknown));
    }
    let mut next = || words.next().ok_or(Malformed("the line is too short"));
    let (from, to, from_port, to_port) = (next()?, next()?, next()?, next()?);
    if words.next().is_some() {
        return Err(Malformed("the line is too long"));
    }
    port(from_port)?;
    port(to_port)?;
    let address = |text: &str| match family {
        "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| Malformed("no IPv4 address")),
        "TCP6" => text.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| Malformed("no IPv6 address")),
        _ => Err(Malformed("the family is unknown")),
    };
    address(to)?;
    Ok(Step::Done(Source::Named(address(from)?.to_canonical())))
}

fn port(text: &str) -> Result<(), Malformed> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain && text.parse::<u16>().is_ok() { Ok(()) } else { Err(Malformed("no port")) }
}

fn step_v2(read: &[u8]) -> Result<Step, Malformed> {
    let Some((head, body)) = read.split_first_chunk::<16>() else {
        return Ok(Step::Need(16 - read.len()));
    };
    let [.., version, family, high, low] = *head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > V2_MOST {
        return Err(Malformed("the header is too long"));
    }
    if body.len() < length {
        return Ok(Step::Need(length - body.len()));
    }
    if body.len() > length {
        return Err(Malformed("bytes beyond the header"));
    }
    match version {
        0x20 => return Ok(Step::Done(Source::Own)),
        0x21 => {}
        _ => return Err(Malformed("neither version 2 nor a command that is known")),
    }
    let short = Malformed("the addresses are too short");
    // source and destination address, two ports, then TLVs
    Ok(Step::Done(match family {
        0x11 => {
            let (addresses, _) = body.split_first_chunk::<12>().ok_or(short)?;
            let [a, b, c, d, ..] = *addresses;
            Source::Named(Ipv4Addr::new(a, b, c, d).into())
        }
        0x21 => {
            let (addresses, _) = body.split_first_chunk::<36>().ok_or(short)?;
            let (from, _) = addresses.split_first_chunk::<16>().ok_or(short)?;
            Source::Named(IpAddr::V6(Ipv6Addr::from(*from)).to_canonical())
        }
        // unspecified, datagrams, Unix paths: no address that means anything here
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => Source::Unknown,
        _ => return Err(Malformed("the family is unknown")),
    }))
}

/// Reads the header and nothing after it.
pub(crate) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Source> {
    let mut header = Vec::with_capacity(64);
    loop {
        match step(&header).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))? {
            Step::Done(source) => return Ok(source),
            Step::Need(more) => {
                let before = header.len();
                header.resize(before + more, 0);
                let missing = header.get_mut(before..).unwrap_or_default();
                stream.read_exact(missing).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    /// As a peer writes it.
    fn write_v2(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        match (from.ip(), to.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                header.extend_from_slice(&[0x21, 0x11, 0, 12]);
                header.extend_from_slice(&source.octets());
                header.extend_from_slice(&destination.octets());
            }
            (source, destination) => {
                let six = |address: IpAddr| match address {
                    IpAddr::V4(four) => four.to_ipv6_mapped(),
                    IpAddr::V6(six) => six,
                };
                header.extend_from_slice(&[0x21, 0x21, 0, 36]);
                header.extend_from_slice(&six(source).octets());
                header.extend_from_slice(&six(destination).octets());
            }
        }
        header.extend_from_slice(&from.port().to_be_bytes());
        header.extend_from_slice(&to.port().to_be_bytes());
        header
    }

    /// As a reader does it: exactly what is asked for, and no byte more.
    fn feed(bytes: &[u8]) -> Result<(Source, usize), Malformed> {
        let mut at = 0;
        loop {
            match step(&bytes[..at])? {
                Step::Done(source) => return Ok((source, at)),
                Step::Need(more) if at + more > bytes.len() => return Err(Malformed("ended")),
                Step::Need(more) => at += more,
            }
        }
    }

    #[test]
    fn rules_3_1_a_header_ends_where_it_ends() {
        let four = Source::Named([192, 0, 2, 1].into());
        let v2 = write_v2("192.0.2.1:5".parse().unwrap(), "10.0.0.1:443".parse().unwrap());
        let mut tlv = v2.clone();
        tlv[15] += 7;
        tlv.extend_from_slice(&[0x20, 0, 4, 1, 2, 3, 4]);
        let six = write_v2("[2001:db8::1]:5".parse().unwrap(), "[::1]:443".parse().unwrap());
        let mapped = write_v2("[::ffff:192.0.2.1]:5".parse().unwrap(), "[::1]:443".parse().unwrap());
        let mut own = v2.clone();
        own[12] = 0x20;
        let mut unix = SIGNATURE.to_vec();
        unix.extend_from_slice(&[0x21, 0x31, 0, 216]);
        unix.extend_from_slice(&[0; 216]);
        for (header, source) in [
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n".to_vec(), four),
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 0 65535\r\n".to_vec(), four),
            (
                b"PROXY TCP6 2001:db8::1 ::1 56324 443\r\n".to_vec(),
                Source::Named("2001:db8::1".parse().unwrap()),
            ),
            (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n".to_vec(), four),
            (b"PROXY UNKNOWN\r\n".to_vec(), Source::Unknown),
            (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(), Source::Unknown),
            (v2, four),
            (tlv, four),
            (six, Source::Named("2001:db8::1".parse().unwrap())),
            (mapped, four),
            (own, Source::Own),
            (unix, Source::Unknown),
        ] {
            let whole = [header.as_slice(), b"\r\nGET / HTTP/1.1\r\n"].concat();
            assert_eq!(feed(&whole), Ok((source, header.len())), "{}", String::from_utf8_lossy(&header));
            for cut in 0..header.len() {
                assert_eq!(feed(&header[..cut]), Err(Malformed("ended")), "{cut}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let v2 = |version: u8, family: u8, length: u16| {
            let mut header = SIGNATURE.to_vec();
            header.extend_from_slice(&[version, family]);
            header.extend_from_slice(&length.to_be_bytes());
            header.resize(16 + usize::from(length), 0);
            header
        };
        for header in [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            b"proxy TCP4 192.0.2.1 10.0.0.1 1 2\r\n".to_vec(),
            b"PROXY TCP5 192.0.2.1 10.0.0.1 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n".to_vec(),
            b"PROXY TCP4  192.0.2.1 10.0.0.1 1 2\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 ::1 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 65536 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 +1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\nX: y\r\n".to_vec(),
            [b"PROXY UNKNOWN ".as_slice(), &[b'a'; 200]].concat(),
            v2(0x11, 0x11, 12),
            v2(0x22, 0x11, 12),
            v2(0x21, 0x11, 11),
            v2(0x21, 0x21, 35),
            v2(0x21, 0x13, 12),
            v2(0x21, 0x11, 2049),
        ] {
            let refused = feed(&header);
            assert!(
                matches!(refused, Err(Malformed(why)) if why != "ended"),
                "{refused:?} {}",
                String::from_utf8_lossy(&header)
            );
        }
    }
}
