//! Media types in the registered form that browsers need, and files that are compressed already.

use crate::support::{TestSite, get, text};

#[tokio::test]
async fn types_that_web_developers_meet() {
    let site = TestSite::new(&[]).await;
    for (names, media_type) in [
        (&["a.js", "a.mjs", "a.cjs", "A.MJS"][..], "text/javascript; charset=utf-8"),
        (&["a.json", "a.js.map", "tsconfig.jsonc", "a.topojson"], "application/json; charset=utf-8"),
        (&["a.ts", "a.d.ts", "a.mts", "a.cts", "a.tsx", "a.txt"], "text/plain; charset=utf-8"),
        (&["a.md"], "text/markdown; charset=utf-8"),
        (&["a.css"], "text/css; charset=utf-8"),
        (&["a.csv"], "text/csv; charset=utf-8"),
        (&["a.wasm"], "application/wasm"),
        (&["a.webmanifest"], "application/manifest+json"),
        (&["a.jsonl"], "application/jsonl"),
        (&["a.ndjson"], "application/x-ndjson"),
        (&["a.geojson"], "application/geo+json"),
        (&["a.svg"], "image/svg+xml"),
        (&["a.avif"], "image/avif"),
        (&["favicon.ico"], "image/vnd.microsoft.icon"),
        (&["a.woff2"], "font/woff2"),
        (&["a.glb"], "model/gltf-binary"),
        (&["a.gltf"], "model/gltf+json"),
        (&["a.m3u8"], "application/vnd.apple.mpegurl"),
        (&["a.m4a"], "audio/mp4"),
        (&["a.mp4"], "video/mp4"),
        (&["a.pmtiles"], "application/vnd.pmtiles"),
        (&["a.parquet"], "application/vnd.apache.parquet"),
        (&["a.arrow"], "application/vnd.apache.arrow.file"),
        (&["a.sqlite", "a.sqlite3"], "application/vnd.sqlite3"),
        (&["a.gz", "a.tar.gz", "app.js.gz"], "application/gzip"),
        (&["a.zst", "app.js.zst"], "application/zstd"),
        (&["a.zip"], "application/zip"),
        (
            &["a.onnx", "a.gguf", "a.safetensors", "a.pck", "app.js.br", "a.bin", "LICENSE", "a.unheard-of"],
            "application/octet-stream",
        ),
    ] {
        for name in names {
            site.write(name, b"x");
            let answer = site.get(&format!("/{name}")).await;
            assert_eq!(answer.header("content-type"), Some(media_type), "{name}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{name}");
        }
    }
}

#[tokio::test]
async fn a_packed_file_is_itself() {
    // With Content-Encoding, a client that fetches the file would get its uncompressed content instead.
    let script = text(1, 50_000);
    let site =
        TestSite::new(&[("a.js.gz", &script), ("a.js.br", &script), ("a.js.zst", &script), ("a.js", &script)]).await;
    for coding in ["gzip, deflate, br, zstd", "br", "zstd", "*"] {
        for name in ["/a.js.gz", "/a.js.br", "/a.js.zst"] {
            let answer = site.ask(get(name).header("accept-encoding", coding)).await;
            assert_eq!((answer.header("content-encoding"), answer.body == script), (None, true), "{name} {coding}");
        }
        let plain = site.ask(get("/a.js").header("accept-encoding", coding)).await;
        assert!(plain.header("content-encoding").is_some(), "{coding}");
    }
}
