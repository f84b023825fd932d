//! Listings that AWS answers page by page.

use crate::error::Result;

/// Reads all pages of a listing; `page` takes the token of a page and gives its items and the next token.
///
/// # Errors
///
/// What `page` failed with.
pub(crate) async fn pages<T, F>(mut page: impl FnMut(Option<String>) -> F) -> Result<Vec<T>>
where
    F: Future<Output = Result<(Vec<T>, Option<String>)>>,
{
    let mut all = Vec::new();
    let mut token = None;
    loop {
        let (items, next) = page(token).await?;
        all.extend(items);
        // Some services end with an empty token instead of none.
        token = next.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(all);
        }
    }
}
