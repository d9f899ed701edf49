//! Files that a build has compressed already.

use std::io::Write;

use driblet::Version;

use crate::support::{TestSite, get, text};

/// Bytes in a coding, at a level that the server never uses, so that they are told apart from its own.
fn packed(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        "br" => {
            brotli::CompressorWriter::new(&mut out, 4096, 1, 22).write_all(bytes).unwrap();
        }
        "zstd" => {
            out.reserve(zstd_safe::compress_bound(bytes.len()));
            zstd_safe::compress(&mut out, bytes, 1).unwrap();
        }
        _ => flate2::write::GzEncoder::new(&mut out, flate2::Compression::fast()).write_all(bytes).unwrap(),
    }
    out
}

const CODINGS: [(&str, &str); 3] = [("br", "br"), ("zstd", "zst"), ("gzip", "gz")];

#[tokio::test]
async fn a_sidecar_is_sent_as_it_is() {
    let script = text(3, 60_000);
    let site = TestSite::new(&[("app.js", &script)]).await;
    for (coding, extension) in CODINGS {
        let sidecar = packed(coding, &script);
        site.publish(&format!("app.js.{extension}"), &sidecar).await;
        let ask = get("/app.js").header("accept-encoding", coding);
        let answer = site.ask(ask.clone()).await;
        assert!(answer.header("content-encoding") == Some(coding) && answer.body == sidecar, "{coding}");
        assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert!(answer.etag().starts_with(&format!("\"{}-{coding}-", Version::of(&script))));
        assert_eq!(site.ask(ask.clone().header("if-none-match", &answer.etag())).await.status, 304);
        let head = site.ask(ask.method("HEAD")).await;
        assert_eq!((head.etag(), head.header("content-length")), (answer.etag(), answer.header("content-length")));
    }
    assert_eq!(site.get("/app.js").await.body, script);
}

#[tokio::test]
async fn what_is_not_the_file_is_not_sent() {
    let (old, script) = (text(3, 60_000), text(4, 60_000));
    for (coding, extension) in CODINGS {
        let whole = packed(coding, &script);
        let longer = packed(coding, &[&script[..], b"x"].concat());
        for wrong in [packed(coding, &old), whole[..whole.len() - 9].to_vec(), longer, b"noise".to_vec(), Vec::new()] {
            let site = TestSite::new(&[("app.js", &script), (&format!("app.js.{extension}"), &wrong)]).await;
            let answer = site.ask(get("/app.js").header("accept-encoding", coding)).await;
            assert_eq!((answer.status, answer.header("content-encoding")), (200, Some(coding)));
            assert!(answer.body != wrong && answer.etag() == format!("\"{}-{coding}\"", Version::of(&script)));
        }
    }
}
