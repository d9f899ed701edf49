//! What a website wants from a server besides its files.

use std::str::FromStr;

use driblet::ServerBuilder;

#[derive(clap::Args)]
#[command(next_help_heading = "Websites")]
pub(crate) struct WebsiteArgs {
    /// Answer navigations to paths without a file with /index.html, for an app that reads its URL itself
    #[arg(long)]
    spa: bool,
    /// Set a header of the files that a pattern matches, as in .gitignore; an empty value removes it
    ///
    /// By default files whose names have a content hash (index-B3f2a9xx.js) are cached for a year, unless they were
    /// changed, and others must be asked for again. Later options replace what earlier ones set.
    #[arg(long, value_name = "PATTERN NAME: VALUE")]
    header: Vec<HeaderArg>,
    /// Send a path on to another one or to a URL: '/old/* /new/*', and a status after it if it is not 308
    #[arg(long, value_name = "FROM TO")]
    redirect: Vec<RedirectArg>,
    /// List the files of folders without an index.html
    #[arg(long)]
    listing: bool,
    /// Send headers that protect pages: no frames of other sites, no more than the origin to other sites, TLS only
    #[arg(long)]
    security_headers: bool,
    /// Let the pages of all origins read the files, without cookies
    #[arg(long)]
    cors: bool,
    /// Do not let browsers use files as compression dictionaries (RFC 9842)
    ///
    /// By default a page over TLS gets the next version of a script, style sheet or wasm module encoded against the one
    /// that the browser holds. It may show that once more, while it fetches the next.
    #[arg(long)]
    no_dictionaries: bool,
}

impl WebsiteArgs {
    pub(crate) fn configure(&self, builder: ServerBuilder) -> ServerBuilder {
        let builder = builder
            .single_page(self.spa)
            .dictionaries(!self.no_dictionaries)
            .listing(self.listing)
            .security_headers(self.security_headers);
        let builder = self.header.iter().fold(builder, |builder, HeaderArg { pattern, name, value }| {
            builder.header(pattern.as_str(), name.as_str(), value.as_str())
        });
        let builder = self.redirect.iter().fold(builder, |builder, RedirectArg { from, to, status }| {
            builder.redirect(from.as_str(), to.as_str(), *status)
        });
        if self.cors { builder.allow_origin("*") } else { builder }
    }
}

/// A pattern, and a header for the files that it matches.
#[derive(Clone, Debug)]
struct HeaderArg {
    pattern: String,
    name: String,
    value: String,
}

impl FromStr for HeaderArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<HeaderArg, &'static str> {
        let parts = text.split_once(':').and_then(|(start, value)| Some((start.trim().rsplit_once(' ')?, value)));
        let ((pattern, name), value) =
            parts.ok_or("give a pattern, a space and a header: '*.html X-Frame-Options: DENY'")?;
        Ok(HeaderArg { pattern: pattern.trim().to_owned(), name: name.to_owned(), value: value.trim().to_owned() })
    }
}

/// A path, where it is now, and the status.
#[derive(Clone, Debug)]
struct RedirectArg {
    from: String,
    to: String,
    status: u16,
}

impl FromStr for RedirectArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<RedirectArg, &'static str> {
        let wrong = "give a path, a space, and a path or URL: '/old/* /new/*', and a status after it if it is not 308";
        let words: Vec<&str> = text.split_whitespace().collect();
        let (from, to, status) = match words[..] {
            [from, to] => (from, to, 308),
            [from, to, status] => (from, to, status.parse().map_err(|_| wrong)?),
            _ => return Err(wrong),
        };
        Ok(RedirectArg { from: from.to_owned(), to: to.to_owned(), status })
    }
}
