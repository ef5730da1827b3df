//! Lists by keyset: a page, and where the next one begins.

/// Where a list goes on. `after` is the sort key of the last item seen, opaque to callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    pub after: Option<String>,
    /// 1 to [`PageRequest::MAX_LIMIT`].
    pub limit: u32,
}

/// The first page.
impl Default for PageRequest {
    fn default() -> Self {
        Self { after: None, limit: Self::DEFAULT_LIMIT }
    }
}

impl PageRequest {
    pub const MAX_LIMIT: u32 = 500;
    pub const DEFAULT_LIMIT: u32 = 50;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `None`: this is the last page.
    pub next: Option<String>,
}
