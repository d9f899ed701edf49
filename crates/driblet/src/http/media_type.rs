//! Finds the media type of a file by its name.

/// Types that `mime_guess` lacks, or has in another form than the registered one or the one that browsers need.
const TYPES: &[(&str, &[&str])] = &[
    // RFC 9239 has one type for scripts. Browsers load modules with this type only.
    ("text/javascript", &["js", "mjs", "cjs"]),
    ("application/json", &["json", "map", "jsonc", "json5", "topojson", "tsbuildinfo", "webapp"]),
    ("application/geo+json", &["geojson"]),
    ("application/ld+json", &["jsonld"]),
    ("application/manifest+json", &["webmanifest"]),
    ("application/importmap+json", &["importmap"]),
    ("application/jsonl", &["jsonl"]),
    ("application/x-ndjson", &["ndjson"]),
    ("application/wasm", &["wasm"]),
    ("application/yaml", &["yaml", "yml"]),
    ("application/toml", &["toml"]),
    ("application/xhtml+xml", &["xhtml", "xht"]),
    ("text/css", &["css"]),
    ("text/csv", &["csv"]),
    ("text/html", &["html", "htm"]),
    ("text/markdown", &["md", "markdown"]),
    ("text/vtt", &["vtt"]),
    ("text/wgsl", &["wgsl"]),
    // Source text. A .ts file is a script far more often than a transport stream.
    ("text/plain", &["ts", "mts", "cts", "tsx", "jsx", "vue", "svelte", "astro", "scss", "sass", "less", "styl"]),
    (
        "text/plain",
        &["txt", "log", "ini", "cfg", "conf", "glsl", "vert", "frag", "comp", "wat", "proto", "graphql", "gql"],
    ),
    (
        "text/plain",
        &["rs", "go", "py", "rb", "kt", "swift", "zig", "c", "cc", "cpp", "h", "hpp", "java", "sql", "diff", "patch"],
    ),
    ("image/avif", &["avif"]),
    ("image/heic", &["heic"]),
    ("image/jxl", &["jxl"]),
    ("image/ktx2", &["ktx2"]),
    ("image/svg+xml", &["svg"]),
    ("image/vnd.microsoft.icon", &["ico"]),
    ("image/webp", &["webp"]),
    ("audio/flac", &["flac"]),
    ("audio/mp4", &["m4a"]),
    ("audio/ogg", &["opus", "oga"]),
    ("audio/webm", &["weba"]),
    ("video/matroska", &["mkv"]),
    ("video/mp4", &["mp4", "m4v"]),
    ("video/webm", &["webm"]),
    ("application/vnd.apple.mpegurl", &["m3u8"]),
    ("application/dash+xml", &["mpd"]),
    ("font/otf", &["otf"]),
    ("font/ttf", &["ttf"]),
    ("font/collection", &["ttc"]),
    ("font/woff", &["woff"]),
    ("font/woff2", &["woff2"]),
    ("model/gltf-binary", &["glb"]),
    ("model/gltf+json", &["gltf"]),
    ("model/obj", &["obj"]),
    ("model/stl", &["stl"]),
    ("model/vnd.usdz+zip", &["usdz"]),
    ("application/vnd.apache.arrow.file", &["arrow", "feather"]),
    ("application/vnd.apache.arrow.stream", &["arrows"]),
    ("application/vnd.apache.parquet", &["parquet"]),
    ("application/vnd.mapbox-vector-tile", &["mvt"]),
    ("application/vnd.pmtiles", &["pmtiles"]),
    ("application/vnd.sqlite3", &["sqlite", "sqlite3", "db3", "mbtiles", "gpkg"]),
    ("application/gzip", &["gz", "tgz"]),
    ("application/zstd", &["zst", "tzst"]),
    ("application/vnd.rar", &["rar"]),
    // Formats without a type. Brotli has none, and .br is not sent as Content-Encoding: a client that fetches app.js.br
    // gets that file as it is.
    (
        "application/octet-stream",
        &["br", "bin", "dat", "data", "pck", "onnx", "gguf", "safetensors", "tflite", "task", "npy", "pt", "pth"],
    ),
    (
        "application/octet-stream",
        &["db", "duckdb", "unityweb", "bundle", "pak", "ktx", "basis", "draco", "drc", "pb", "splat", "ply", "spz"],
    ),
];

/// Endings of files that are compressed already, although their type does not show it.
const PACKED: &[&str] = &["br", "npz", "unityweb", "spz", "drc", "draco", "lz4", "lzma", "xz", "bz2", "7z"];

/// The media type of a file, in its registered form if there is one.
pub(super) fn media_type(path: &str) -> String {
    let extension = extension(path);
    let ours = TYPES.iter().find(|(_, extensions)| extensions.contains(&extension.as_str()));
    let guess = || mime_guess::from_ext(&extension).first_or_octet_stream().to_string();
    let media_type = ours.map_or_else(guess, |(media_type, _)| (*media_type).to_owned());
    let is_text = media_type.starts_with("text/")
        || matches!(media_type.as_str(), "application/json" | "application/javascript" | "application/xml");
    if is_text { media_type + "; charset=utf-8" } else { media_type }
}

/// Whether a general compressor may shrink a file of this name and type.
pub(super) fn is_compressible(path: &str, media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default();
    let is_structured = ["json", "jsonl", "javascript", "xml", "wasm", "yaml", "toml"];
    let others = [
        "application/octet-stream",
        "application/vnd.apple.mpegurl",
        "application/vnd.sqlite3",
        "font/otf",
        "font/ttf",
        "font/collection",
        "image/bmp",
        "image/vnd.microsoft.icon",
        "model/gltf-binary",
        "model/obj",
        "model/stl",
    ];
    let may_be = essence.starts_with("text/")
        || is_structured.iter().any(|kind| essence.ends_with(kind))
        || others.contains(&essence);
    may_be && !PACKED.contains(&extension(path).as_str())
}

fn extension(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or(String::new(), |(_, extension)| extension.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_browsers_want() {
        for (name, wanted) in [
            ("a/app.js", "text/javascript; charset=utf-8"),
            ("APP.MJS", "text/javascript; charset=utf-8"),
            ("x.wasm", "application/wasm"),
            ("data.json", "application/json; charset=utf-8"),
            ("feed.xml", "text/xml; charset=utf-8"),
            ("noidea", "application/octet-stream"),
            ("a.b/noidea", "application/octet-stream"),
            ("x.unheard-of", "application/octet-stream"),
            ("photo.JPG", "image/jpeg"),
        ] {
            assert_eq!(media_type(name), wanted, "{name}");
        }
    }

    #[test]
    fn no_ending_is_listed_twice() {
        let mut seen = std::collections::HashSet::new();
        for extension in TYPES.iter().flat_map(|(_, extensions)| *extensions) {
            assert!(seen.insert(extension), "{extension}");
        }
    }

    #[test]
    fn what_is_packed_is_not_packed_again() {
        for name in ["app.js", "a.wasm", "a.ttf", "a.jsonl", "a.sqlite", "a.glb", "a.svg", "a.safetensors"] {
            assert!(is_compressible(name, &media_type(name)), "{name}");
        }
        for name in
            ["a.png", "app.js.br", "app.js.gz", "a.tar.zst", "a.woff2", "a.mp4", "a.zip", "a.pmtiles", "a.parquet"]
        {
            assert!(!is_compressible(name, &media_type(name)), "{name}");
        }
    }
}
