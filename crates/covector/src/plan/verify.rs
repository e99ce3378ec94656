//! Fused plans checked against the plain interpreter.

use std::sync::atomic::{AtomicU8, Ordering};

use super::Values;
use crate::walk::Listing;
use crate::{Error, Result};

/// 0 until asked for the first time, then 1 (no) or 2 (yes).
static WANTED: AtomicU8 = AtomicU8::new(0);

/// Makes every evaluation run twice, by its plan and one primitive at a time, and fail if a bit differs (or stops that).
///
/// `COVECTOR_VERIFY=1` does the same from outside. For those who write primitives with a fused kernel, or doubt ours.
///
/// ```
/// use covector::{Tensor, set_verify};
/// set_verify(true);
/// assert_eq!(Tensor::from([1.0f32, 2.0]).softmax(0).sum(..).item::<f32>(), 1.0);
/// set_verify(false);
/// ```
pub fn set_verify(on: bool) {
    WANTED.store(if on { 2 } else { 1 }, Ordering::Relaxed);
}

/// Whether evaluations run twice.
pub(crate) fn wanted() -> bool {
    if WANTED.load(Ordering::Relaxed) == 0 {
        set_verify(std::env::var("COVECTOR_VERIFY").is_ok_and(|v| !matches!(v.as_str(), "" | "0")));
    }
    WANTED.load(Ordering::Relaxed) == 2
}

/// An error that names the first op in the listing whose values differ.
pub(super) fn compare(list: &Listing, planned: &Values, plain: &Values) -> Result<()> {
    let mut plain = plain.clone();
    plain.sort_unstable_by_key(|(position, _)| *position);
    let differs = |(position, value): &&(u32, crate::Array)| {
        let at = plain.binary_search_by_key(position, |(p, _)| *p);
        at.map_or(true, |at| plain[at].1.to_bytes() != value.to_bytes())
    };
    let Some(&(position, _)) = planned.iter().filter(differs).min_by_key(|(position, _)| *position) else {
        return Ok(());
    };
    let node = &list.nodes[position as usize];
    let message = "the fused plan and one primitive at a time give different bits".to_owned();
    let hint =
        "if a primitive of yours has a fused kernel, it must compute exactly what `run` does; else please report this";
    let specs = |all: &mut Vec<_>| all.extend(node.inputs().iter().map(crate::Tensor::described));
    Err(Error::new(message).hint(hint).located(node.site().op, node.site().location, specs))
}
