//! Orders in which every part has its share of each class.

use covector::random::permutation;
use covector::{DType, Key};

/// The numbers of `count` examples in a random order, as the key says, whose classes are spread evenly: every part of it has
/// about the share of each class that the whole has. Without classes, any order.
///
/// Its first tenth is a fair tenth to hold out, and every fifth of it a fair fold.
///
/// ```
/// use covector::Key;
/// let classes = [0, 0, 0, 0, 0, 0, 1, 1, 1];
/// let order = covector_data::spread(9, Some(&classes), &Key::new(0));
/// for third in order.chunks(3) {
///     assert_eq!(third.iter().filter(|&&i| classes[i as usize] == 1).count(), 1);
/// }
/// ```
///
/// # Panics
/// If there are not as many classes as examples.
#[track_caller]
pub fn spread(count: usize, classes: Option<&[i64]>, key: &Key) -> Vec<i64> {
    let order = permutation(key, count).cast(DType::I64).to_vec::<i64>();
    let Some(classes) = classes else { return order };
    assert_eq!(classes.len(), count, "as many classes as examples");
    let mut of_class = std::collections::BTreeMap::<i64, Vec<i64>>::new();
    for i in order {
        of_class.entry(classes[i as usize]).or_default().push(i);
    }
    // An example stands where it is within its class, in parts of the class.
    let mut places: Vec<(f64, i64)> = Vec::with_capacity(count);
    for examples in of_class.values() {
        let place = |at: usize| (at as f64 + 0.5) / examples.len() as f64;
        places.extend(examples.iter().enumerate().map(|(at, &i)| (place(at), i)));
    }
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    places.into_iter().map(|(_, i)| i).collect()
}
