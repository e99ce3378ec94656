//! Batches ahead of their use: the same after a resume, bounded, stopped when dropped, errors and panics come through.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use covector::{Error, Key, Tensor};
use covector_data::{Augment, Batches, Loader, Prefetch, digits};

#[test]
fn a_resumed_training_gets_the_batches_it_would_have_got() {
    let images = Arc::new(digits(50, &Key::new(0)));
    let augment = Augment { rotate: 10.0, shift: 2.0, noise: 0.05, ..Augment::default() };
    let loader = || {
        let images = images.clone();
        Loader::new(Batches::new(50, 8, Key::new(1)), move |step, which| {
            let (x, y) = images.batch(which)?;
            Ok((augment.apply(&x, &Key::new(2).fold_in(step as i64)), y))
        })
    };
    let bits = |(x, y): (Tensor, Tensor)| (x.to_vec::<f32>(), y.to_vec::<i64>());
    let whole: Vec<_> = loader().from(0, 3).take(20).map(|b| bits(b.unwrap())).collect();
    for start in [1, 6, 7, 13] {
        let rest: Vec<_> = loader().from(start, 1).take(20 - start).map(|b| bits(b.unwrap())).collect();
        assert_eq!(whole[start..], rest, "{start}");
    }
    assert_eq!(whole[9], bits(loader().at(9).unwrap()));
}

#[test]
fn no_more_is_made_than_asked_for_and_dropping_ends_it() {
    let made = Arc::new(AtomicUsize::new(0));
    let counter = made.clone();
    let items = (0..).map(move |i: usize| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok::<usize, Error>(i)
    });
    let mut ahead = Prefetch::new(3, items);
    assert_eq!(ahead.next().unwrap().unwrap(), 0);
    for _ in 0..200 {
        std::thread::sleep(Duration::from_millis(1));
        assert!(made.load(Ordering::SeqCst) <= 4, "one was taken, three may be ready");
    }
    drop(ahead);
    let after = made.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(made.load(Ordering::SeqCst), after, "its thread has ended");
}

#[test]
fn errors_come_through_and_end_it() {
    let mut items = Prefetch::new(2, (0..9).map(|i| if i == 2 { Err(Error::new("broken")) } else { Ok(i) }));
    assert_eq!([items.next().unwrap().unwrap(), items.next().unwrap().unwrap()], [0, 1]);
    assert_eq!(items.next().unwrap().unwrap_err().to_string(), "broken");
    assert!(items.next().is_none() && items.next().is_none());
}

#[test]
#[should_panic(expected = "on the thread")]
fn a_panic_goes_on_where_the_items_are_used() {
    let panics = |i: i32| if i == 1 { panic!("on the thread") } else { Ok::<i32, Error>(i) };
    Prefetch::new(2, (0..3).map(panics)).for_each(drop);
}
