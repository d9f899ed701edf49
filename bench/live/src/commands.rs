//! What the section of the benchmarks says, line by line, and the answers to it.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, stdin};

use crate::board::Board;
use crate::{Failure, Place, connect};

/// Obeys until standard input ends:
///
/// - `opened`: waits until all streams have begun;
/// - `replace FROM TO`: renames a file, and waits until all streams have told it. Answers with microseconds until the
///   first, the median, the 99th percentile and the last of them, and the bytes of the event as hex digits;
/// - `tell HEX`: has the plain server write these bytes, and waits likewise;
/// - `returned`: waits until all streams have ended and begun again. Answers with microseconds from the command until the
///   last had its first event, the most connections in any second, and how many attempts failed.
pub(crate) async fn obey(place: &Place, board: &Arc<Board>) -> Result<(), Failure> {
    let mut lines = BufReader::new(stdin()).lines();
    let mut bytes = Vec::new();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words[..] {
            ["opened"] => {
                board.all(|seen| &seen.began).await?;
                "opened".to_owned()
            }
            ["replace", from, to] => {
                let begin = board.begin();
                std::fs::rename(from, to)?;
                told(board, begin, &mut bytes).await?
            }
            ["tell", hex] => {
                let event = from_hex(hex).ok_or("no hex digits")?;
                let mut teller = connect(place).await?;
                teller.write_all(format!("TELL {}\n", event.len()).as_bytes()).await?;
                let begin = board.begin();
                teller.write_all(&event).await?;
                told(board, begin, &mut bytes).await?
            }
            ["returned"] => {
                let begin = board.begin();
                println!("ready");
                board.all(|seen| &seen.began).await?;
                returned(board, begin)
            }
            _ => return Err(format!("no command: {line}").into()),
        };
        println!("{answer}");
    }
    Ok(())
}

async fn told(board: &Board, begin: Instant, bytes: &mut Vec<u8>) -> Result<String, Failure> {
    board.all(|seen| &seen.heads).await?;
    let mut seen = board.seen();
    seen.heads.sort_unstable();
    *bytes = std::mem::take(&mut seen.bytes);
    let after = |part: f64| (seen.heads[((board.count - 1) as f64 * part) as usize] - begin).as_micros();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{} {} {} {} {hex}", after(0.0), after(0.5), after(0.99), after(1.0)))
}

fn returned(board: &Board, begin: Instant) -> String {
    let mut seen = board.seen();
    seen.began.sort_unstable();
    seen.connected.sort_unstable();
    let within_second = |(at, first): (usize, &Instant)| {
        seen.connected[at..].partition_point(|other| (*other - *first).as_micros() < 1_000_000)
    };
    let most = seen.connected.iter().enumerate().map(within_second).max().unwrap_or_default();
    let last = seen.began.last().map_or(0, |last| (*last - begin).as_micros());
    format!("{last} {most} {}", seen.failed)
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()).collect()
}
