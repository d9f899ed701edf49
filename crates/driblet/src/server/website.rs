//! What a website wants from a server besides its files.

use super::ServerBuilder;

impl ServerBuilder {
    /// Whether `/index.html` answers navigations to paths without a file: for an app that reads its URL itself. Default:
    /// no. Other requests for such paths, such as for a script that is gone, are answered with 404 in any case.
    pub fn single_page(self, single_page: bool) -> ServerBuilder {
        ServerBuilder { single_page, ..self }
    }

    /// Sets a header of the files that a pattern matches, in the syntax of `.gitignore`; an empty value removes it. Later
    /// calls replace what earlier ones set. Answers of sync resources do not change.
    ///
    /// Default: files whose names have a content hash, and that never changed, are cached for a year; all others must be
    /// asked for again (`Cache-Control: no-cache`).
    ///
    /// ```
    /// let builder = driblet::Server::builder("dist")
    ///     .header("*", "X-Frame-Options", "DENY")
    ///     .header("fonts/", "Cache-Control", "max-age=86400");
    /// # drop(builder);
    /// ```
    pub fn header(
        mut self,
        pattern: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> ServerBuilder {
        self.headers.push((pattern.into(), name.into(), value.into()));
        self
    }

    /// Whether a folder without an `index.html` gets a page that lists its files, or a list in JSON for clients that
    /// accept only that. Default: no.
    pub fn listing(self, listing: bool) -> ServerBuilder {
        ServerBuilder { listing, ..self }
    }

    /// Whether files are sent with headers that let no other site frame the pages (`X-Frame-Options`, and
    /// `frame-ancestors` of `Content-Security-Policy`), that tell other sites no more than the origin
    /// (`Referrer-Policy`), and that have browsers come over TLS for a year (`Strict-Transport-Security`).
    /// [`header`](ServerBuilder::header) replaces each of them. Default: no; all answers say `nosniff` in any case.
    pub fn security_headers(self, security: bool) -> ServerBuilder {
        ServerBuilder { security, ..self }
    }

    /// Redirects a path, or with a `*` at its end all paths with that start, to another path or URL. What stood for the
    /// `*` takes the place of one at the end of the target, and the query stays. The status is 301, 302, 303, 307 or
    /// 308. The first call that is for a path decides, also if there is a file. Sync resources are not redirected.
    ///
    /// ```
    /// let builder = driblet::Server::builder("dist").redirect("/blog/*", "https://blog.example/*", 308);
    /// # drop(builder);
    /// ```
    pub fn redirect(mut self, from: impl Into<String>, to: impl Into<String>, status: u16) -> ServerBuilder {
        self.redirects.push((from.into(), to.into(), status));
        self
    }

    /// Whether browsers may use files as compression dictionaries (RFC 9842): they then get the next version of a file
    /// encoded against the one that they hold. Default: yes, for pages over TLS; never for private files, and never in
    /// answer to requests with `Authorization`.
    ///
    /// Scripts, style sheets and wasm modules without a content hash in their names are then sent with
    /// `stale-while-revalidate`: a page may show the version before once more. Set their `Cache-Control` with
    /// [`header`](ServerBuilder::header) where that must not be.
    ///
    /// ```
    /// let builder = driblet::Server::builder("dist").header("config.js", "Cache-Control", "no-cache");
    /// # drop(builder);
    /// ```
    pub fn dictionaries(self, dictionaries: bool) -> ServerBuilder {
        ServerBuilder { dictionaries, ..self }
    }
}
