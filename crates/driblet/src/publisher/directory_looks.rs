//! Looks at a directory: at all of it, or only at what events named since the last look.

use std::sync::Arc;

use super::directory_watch::Touched;
use crate::walk::edits::{Edits, ListedPath};
use crate::walk::{Listing, WalkedFile};

/// The looks at a directory until it is published.
#[derive(Default)]
pub(super) struct Looks {
    /// What the next look is compared with. `None` if everything must be looked at.
    pub(super) base: Option<Base>,
    /// What events named since the directory was last published. Each look sees it again: a folder may have got files
    /// before the system watched it.
    pub(super) touched: Touched,
    /// How many versions the history had lost at the first look.
    pub(super) losses: u64,
}

/// A directory at an earlier look.
#[derive(Clone)]
pub(super) struct Base {
    pub(super) listing: Arc<Listing>,
    /// The files that may not be published as they look, by their indices.
    pub(super) open: Vec<usize>,
    /// Whether the directory's head has just these files.
    pub(super) is_head: bool,
}

/// A directory at one moment.
#[derive(Clone)]
pub(super) struct Look {
    pub(super) base: Base,
    /// What has changed since the base.
    pub(super) edits: Edits,
}

/// The files of a look that are not published as they look.
#[derive(Default)]
pub(super) struct Unpublished {
    /// Files of the base, by their indices.
    pub(super) listed: Vec<usize>,
    /// Files that have changed since.
    pub(super) edited: Vec<ListedPath>,
}

impl Looks {
    /// Whether the next look must be at everything. `is_told` says whether events tell of every change.
    pub(super) fn base(&self, is_told: bool) -> Option<&Base> {
        self.base.as_ref().filter(|_| is_told && !self.touched.all)
    }

    /// Takes over a look at everything.
    pub(super) fn begin(&mut self, listing: Listing, is_told: bool) -> Look {
        let edits = Edits { folders_changed: listing.folders_changed, ..Edits::default() };
        let open = (0..listing.files.len()).collect();
        let base = Base { listing: Arc::new(listing), open, is_head: false };
        self.touched.all = false;
        self.base = is_told.then(|| base.clone());
        Look { base, edits }
    }
}

impl Look {
    /// Whether nothing has changed from one look to the other.
    pub(super) fn is_like(&self, other: &Look) -> bool {
        if Arc::ptr_eq(&self.base.listing, &other.base.listing) {
            return self.edits == other.edits;
        }
        let is_whole = |look: &Look| look.edits.files.is_empty();
        is_whole(self) && is_whole(other) && *self.base.listing == *other.base.listing
    }

    /// How many files there are.
    pub(super) fn len(&self) -> usize {
        self.base.listing.len_after(&self.edits)
    }

    /// The files for which a function is false, among those that may not be published.
    pub(super) fn unpublished(&self, is_published: impl Fn(&WalkedFile) -> bool) -> Unpublished {
        let Edits { files: edits, .. } = &self.edits;
        let files = &self.base.listing.files;
        let is_open = |index: &usize| {
            let file = &files[*index];
            (edits.is_empty() || !edits.contains_key(&ListedPath(file.path.clone()))) && !is_published(file)
        };
        let listed = self.base.open.iter().copied().filter(is_open).collect();
        let edited = edits.iter().filter(|(_, now)| now.as_ref().is_some_and(|file| !is_published(file)));
        Unpublished { listed, edited: edited.map(|(path, _)| path.clone()).collect() }
    }

    pub(super) fn files<'a>(&'a self, unpublished: &'a Unpublished) -> impl Iterator<Item = &'a WalkedFile> {
        let listed = unpublished.listed.iter().map(|index| &self.base.listing.files[*index]);
        listed.chain(unpublished.edited.iter().filter_map(|path| self.edits.files[path].as_ref()))
    }

    /// The directory, as the base of later looks. `open` are the paths of files that may not be published as they look.
    pub(super) fn into_base(self, open: &[String], is_head: bool) -> Base {
        let mut listing = Arc::unwrap_or_clone(self.base.listing);
        listing.apply(self.edits);
        let open = open.iter().filter_map(|path| listing.find(path).ok()).collect();
        Base { listing: Arc::new(listing), open, is_head }
    }
}

impl Unpublished {
    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.edited.is_empty()
    }
}
