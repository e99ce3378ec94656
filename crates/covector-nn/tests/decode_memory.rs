//! A test by itself: it counts what is alive in the whole process.

use covector::{Key, Tensor, live_bytes, live_nodes};
use covector_nn::{Gpt, GptConfig};

#[test]
fn memory_stays_flat_while_a_cache_fills() {
    let config = GptConfig { vocabulary: 31, block: 40, layers: 3, heads: 3, width: 48, bias: true };
    let model = Gpt::new(&Key::new(3), &config);
    let mut cache = model.cache(1, config.block);
    let mut step = |token: i64| drop(model.decode(&Tensor::from([[token]]), &mut cache).unwrap());
    (0..3).for_each(&mut step);
    let (nodes, bytes) = (live_nodes(), live_bytes());
    (3..30).for_each(&mut step);
    assert_eq!((live_nodes(), live_bytes()), (nodes, bytes));
}
