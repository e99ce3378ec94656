//! Movement, indexing, order and random kernels against plain index-by-index oracles, over layouts, dtypes and threads.

mod index;
mod join;
mod oracle;
mod order;
mod random;
mod running;
mod threads;
