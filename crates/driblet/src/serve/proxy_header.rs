//! The header of the PROXY protocol, by which a proxy of connections states the client's address
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).

use std::net::SocketAddr;

use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The shortest header, of both versions, rounded down.
const START: usize = 13;
/// The length of what version 2 begins with, in bytes. Its last two are the length of the rest.
const BINARY_START: usize = 16;
/// The longest header of version 1, in bytes.
const MAX_TEXT: usize = 107;
/// The longest header of version 2 that is read, in bytes. Proxies add names and certificates, but far less.
const MAX_BINARY: usize = 4096;

/// Why a connection has no header that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyHeaderError {
    #[error("the connection does not begin with a header of the PROXY protocol")]
    None,
    #[error("the header of the PROXY protocol is longer than {0} bytes")]
    TooLong(usize),
    #[error("the header of the PROXY protocol did not come in time, or ends early")]
    Incomplete(#[source] std::io::Error),
    #[error("the header of the PROXY protocol is invalid")]
    Text(#[from] v1::BinaryParseError),
    #[error("the header of the PROXY protocol is invalid")]
    Binary(#[from] v2::ParseError),
}

/// Reads the header, and nothing beyond it. Gives the client's address; `None` if the proxy speaks for itself, as for a
/// health check, or does not know the address.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>, ProxyHeaderError> {
    let mut header = vec![0; START];
    stream.read_exact(&mut header).await.map_err(ProxyHeaderError::Incomplete)?;
    if header.starts_with(v2::PROTOCOL_PREFIX) {
        read_more(stream, &mut header, BINARY_START).await?;
        let len = BINARY_START + usize::from(u16::from_be_bytes([header[14], header[15]]));
        if MAX_BINARY < len {
            return Err(ProxyHeaderError::TooLong(MAX_BINARY));
        }
        read_more(stream, &mut header, len).await?;
        let parsed = v2::Header::try_from(&header[..])?;
        return Ok(match (parsed.command, parsed.addresses) {
            (v2::Command::Proxy, v2::Addresses::IPv4(ip)) => Some((ip.source_address, ip.source_port).into()),
            (v2::Command::Proxy, v2::Addresses::IPv6(ip)) => Some((ip.source_address, ip.source_port).into()),
            _ => None,
        });
    }
    if !header.starts_with(v1::PROTOCOL_PREFIX.as_bytes()) {
        return Err(ProxyHeaderError::None);
    }
    // Byte by byte, since what follows the end of the line belongs to TLS or HTTP.
    while !header.ends_with(b"\n") {
        if MAX_TEXT <= header.len() {
            return Err(ProxyHeaderError::TooLong(MAX_TEXT));
        }
        let len = header.len() + 1;
        read_more(stream, &mut header, len).await?;
    }
    Ok(match v1::Header::try_from(&header[..])?.addresses {
        v1::Addresses::Tcp4(ip) => Some((ip.source_address, ip.source_port).into()),
        v1::Addresses::Tcp6(ip) => Some((ip.source_address, ip.source_port).into()),
        v1::Addresses::Unknown => None,
    })
}

/// Reads until the header has this length.
async fn read_more(
    stream: &mut (impl AsyncRead + Unpin),
    header: &mut Vec<u8>,
    len: usize,
) -> Result<(), ProxyHeaderError> {
    let start = header.len();
    header.resize(len, 0);
    stream.read_exact(&mut header[start..]).await.map_err(ProxyHeaderError::Incomplete)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn header(bytes: &[u8]) -> (Result<Option<String>, String>, Vec<u8>) {
        let mut rest = bytes;
        let address = read(&mut rest).await;
        (address.map(|address| address.map(|ip| ip.to_string())).map_err(|error| error.to_string()), rest.to_vec())
    }

    fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[0x20 | command, family], &len, body].concat()
    }

    #[tokio::test]
    async fn both_versions_are_read_and_nothing_beyond() {
        let ipv6 = [&[0; 15][..], &[1], &[0; 15], &[2], &[0x1f, 0x90, 0, 80]].concat();
        let with_more = [&[1, 2, 3, 4, 5, 6, 7, 8, 0x1f, 0x90, 0, 80][..], &[4, 0, 1, 42]].concat();
        for (bytes, address) in [
            (b"PROXY TCP4 203.0.113.7 10.0.0.1 8080 443\r\n".to_vec(), Some("203.0.113.7:8080")),
            (b"PROXY TCP6 2001:db8::1 2001:db8::2 8080 443\r\n".to_vec(), Some("[2001:db8::1]:8080")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (binary(1, 0x11, &[1, 2, 3, 4, 5, 6, 7, 8, 0x1f, 0x90, 0, 80]), Some("1.2.3.4:8080")),
            (binary(1, 0x11, &with_more), Some("1.2.3.4:8080")),
            (binary(1, 0x21, &ipv6), Some("[::1]:8080")),
            (binary(0, 0, &[]), None),
            (binary(0, 0x11, &[1, 2, 3, 4, 5, 6, 7, 8, 0x1f, 0x90, 0, 80]), None),
            (binary(1, 0x31, &[0; 216]), None),
        ] {
            let (read, rest) = header(&[&bytes[..], b"GET / HTTP/1.1\r\n"].concat()).await;
            assert_eq!(read.as_ref().map(|address| address.as_deref()), Ok(address), "{bytes:?}");
            assert_eq!(rest, b"GET / HTTP/1.1\r\n", "{bytes:?}");
            for end in 0..bytes.len() {
                assert!(header(&bytes[..end]).await.0.is_err(), "{end} of {bytes:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        let long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
        for (bytes, says) in [
            (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(), "does not begin"),
            (vec![22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 0, 0, 0, 0, 0], "does not begin"),
            (long, "longer than 107"),
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 99999 1\r\n".to_vec(), "invalid"),
            (b"PROXY TCP4 1.2.3 5.6.7.8 1 1\r\n".to_vec(), "invalid"),
            (b"PROXY TCP9 1.2.3.4 5.6.7.8 1 1\r\n".to_vec(), "invalid"),
            (b"PROXY TCP4 \xff.2.3.4 5.6.7.8 1 1\r\n".to_vec(), "invalid"),
            (binary(2, 0x11, &[0; 12]), "invalid"),
            (binary(1, 0x11, &[0; 3]), "invalid"),
            (binary(1, 0x41, &[0; 12]), "invalid"),
            (binary(1, 0x11, &[0; 5000]), "longer than 4096"),
        ] {
            let error = header(&bytes).await.0.unwrap_err();
            assert!(error.contains(says), "{error} for {bytes:?}");
        }
    }
}
