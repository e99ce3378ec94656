//! [`Handle`]: shared ownership of what is made and dropped by the million.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Deref;
use std::process::abort;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

/// As `std::sync::Arc`, without weak handles: the last handle goes without an atomic step, and what is up to 512 bytes
/// goes round within a thread.
///
/// ```
/// use covector_array::Handle;
/// let mut a = Handle::new(7);
/// let b = a.clone();
/// assert_eq!((*b, Handle::count(&a), Handle::get_mut(&mut a)), (7, 2, None));
/// drop(b);
/// *Handle::get_mut(&mut a).unwrap() += 1;
/// assert_eq!(*a, 8);
/// ```
pub struct Handle<T> {
    block: NonNull<Block<T>>,
    owns: PhantomData<Block<T>>,
}

struct Block<T> {
    handles: AtomicUsize,
    value: T,
}

// SAFETY: handles on several threads share the value, and the last one drops it on its thread.
unsafe impl<T: Send + Sync> Send for Handle<T> {}
// SAFETY: a shared handle can be copied, so that it gives no more than handles do.
unsafe impl<T: Send + Sync> Sync for Handle<T> {}

/// More handles than memory can hold, unless they are forgotten.
const MOST: usize = isize::MAX as usize;

impl<T> Handle<T> {
    /// The first handle on a value.
    #[inline]
    pub fn new(value: T) -> Handle<T> {
        Handle::from_fn(|| value)
    }

    /// The first handle on what `make` makes, which is made in its place if all it does is to put fields together.
    #[inline(always)]
    pub fn from_fn(make: impl FnOnce() -> T) -> Handle<T> {
        let block = take(Layout::new::<Block<T>>()).cast::<Block<T>>();
        // SAFETY: fresh memory of that layout; if `make` panics, it is lost.
        unsafe { block.write(Block { handles: AtomicUsize::new(1), value: make() }) };
        Handle { block, owns: PhantomData }
    }

    /// The number of handles on the value.
    #[inline]
    pub fn count(this: &Handle<T>) -> usize {
        this.block().handles.load(Ordering::Relaxed)
    }

    /// True if there is no other handle. What others did with the value before they let it go comes before what follows.
    #[inline]
    pub fn is_only(this: &Handle<T>) -> bool {
        this.block().handles.load(Ordering::Acquire) == 1
    }

    /// The value, if there is no other handle.
    #[inline]
    pub fn get_mut(this: &mut Handle<T>) -> Option<&mut T> {
        // SAFETY: the only handle there is is borrowed for writing, so nobody copies it or reads through it meanwhile.
        if Handle::is_only(this) { Some(unsafe { &mut this.block.as_mut().value }) } else { None }
    }

    /// An address that identifies the value while it lives.
    #[inline]
    pub fn address(this: &Handle<T>) -> usize {
        this.block.as_ptr() as usize
    }

    #[inline]
    fn block(&self) -> &Block<T> {
        // SAFETY: the block lives as long as a handle does.
        unsafe { self.block.as_ref() }
    }
}

impl<T> Deref for Handle<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.block().value
    }
}

impl<T> Clone for Handle<T> {
    #[inline]
    fn clone(&self) -> Self {
        // As for `Arc`: who copies a handle has one, which orders all that matters.
        if self.block().handles.fetch_add(1, Ordering::Relaxed) > MOST {
            abort();
        }
        Handle { block: self.block, owns: PhantomData }
    }
}

impl<T> Drop for Handle<T> {
    #[inline]
    fn drop(&mut self) {
        // If this is the only handle, nobody can copy it meanwhile: then the count need not be touched.
        if Handle::is_only(self) {
            self.end();
        } else if self.block().handles.fetch_sub(1, Ordering::Release) == 1 {
            // Another went between the two looks.
            fence(Ordering::Acquire);
            self.end();
        }
    }
}

impl<T> Handle<T> {
    /// Drops the value and gives its memory back; if the drop panics, that is lost.
    #[inline(never)]
    fn end(&mut self) {
        // SAFETY: the last handle is going; nobody reads the value again. Its memory is from `take` with this layout.
        unsafe {
            self.block.drop_in_place();
            put(self.block.cast(), Layout::new::<Block<T>>());
        }
    }
}

/// Blocks go round in classes of so many bytes,
const UNIT: usize = 64;
/// of which there are so many,
const CLASSES: usize = 8;
/// aligned so.
const ALIGN: usize = 16;
/// Spare blocks a thread keeps of each class.
const KEPT: usize = 1 << 12;

/// The class of a layout, if its blocks go round.
#[inline]
fn class_of(layout: Layout) -> Option<usize> {
    (layout.size() <= CLASSES * UNIT && layout.align() <= ALIGN).then(|| layout.size().max(1).div_ceil(UNIT) - 1)
}

fn class_layout(class: usize) -> Layout {
    Layout::from_size_align((class + 1) * UNIT, ALIGN).expect("a power of two, and a few hundred bytes")
}

/// A spare block: it holds the next one.
struct Spare {
    next: Option<NonNull<Spare>>,
}

/// The spare blocks of a class, and their number.
type List = Cell<(Option<NonNull<Spare>>, usize)>;

struct Lists([List; CLASSES]);

thread_local! {
    static LISTS: Lists = const { Lists([const { Cell::new((None, 0)) }; CLASSES]) };
}

/// Memory of a layout.
#[inline]
fn take(layout: Layout) -> NonNull<u8> {
    let Some(class) = class_of(layout) else { return fresh(layout) };
    let spare = LISTS.try_with(|lists| {
        let list = &lists.0[class];
        let (first, count) = list.get();
        // SAFETY: a listed block is a spare one of this class, and holds its successor.
        list.set((unsafe { first?.as_ref() }.next, count - 1));
        first
    });
    spare.ok().flatten().map_or_else(|| fresh(class_layout(class)), NonNull::cast)
}

#[cold]
#[inline(never)]
fn fresh(layout: Layout) -> NonNull<u8> {
    // SAFETY: no layout here has the size 0: each has room for a count.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Takes memory back.
///
/// # Safety
/// It must come from [`take`] with this layout, and be nobody's.
#[inline]
unsafe fn put(memory: NonNull<u8>, layout: Layout) {
    let Some(class) = class_of(layout) else {
        // SAFETY: the caller's promise; `take` has used this layout.
        return unsafe { dealloc(memory.as_ptr(), layout) };
    };
    let kept = LISTS.try_with(|lists| {
        let list = &lists.0[class];
        let (first, count) = list.get();
        if count < KEPT {
            let block = memory.cast::<Spare>();
            // SAFETY: nobody's memory, large and aligned enough.
            unsafe { block.write(Spare { next: first }) };
            list.set((Some(block), count + 1));
        }
        count < KEPT
    });
    if kept != Ok(true) {
        // SAFETY: the caller's promise; `take` has used the layout of the class.
        unsafe { dealloc(memory.as_ptr(), class_layout(class)) };
    }
}

/// Gives the spare blocks of this thread back to the system.
pub(crate) fn trim() {
    let _ = LISTS.try_with(Lists::clear);
}

impl Lists {
    fn clear(&self) {
        for (class, list) in self.0.iter().enumerate() {
            let mut next = list.replace((None, 0)).0;
            while let Some(block) = next {
                // SAFETY: as in `take`; the block is listed no more.
                unsafe {
                    next = block.as_ref().next;
                    dealloc(block.as_ptr().cast(), class_layout(class));
                }
            }
        }
    }
}

impl Drop for Lists {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Counts how often it is dropped.
    struct Counted(Arc<AtomicUsize>, [u64; 20]);
    impl Drop for Counted {
        fn drop(&mut self) {
            assert!(self.1.iter().all(|&x| x == self.1[0]), "the value was written to after its end");
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_value_is_dropped_once_whoever_goes_last() {
        let (rounds, threads) = if cfg!(miri) { (20, 3) } else { (2000, 4) };
        let dropped = Arc::new(AtomicUsize::new(0));
        for round in 0..rounds {
            let handle = Handle::new(Counted(dropped.clone(), [round; 20]));
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    let mine = handle.clone();
                    scope.spawn(move || {
                        let copies: Vec<_> = (0..5).map(|_| mine.clone()).collect();
                        assert!(copies.iter().all(|c| c.1[7] == round));
                        drop(mine);
                    });
                }
                drop(handle);
            });
            assert_eq!(dropped.load(Ordering::Relaxed) as u64, round + 1);
        }
    }

    #[test]
    fn memory_that_went_round_holds_what_was_put_there_last() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let many = if cfg!(miri) { 50 } else { 2 * KEPT };
        for round in 0..3 {
            let all: Vec<_> =
                (0..many).map(|i| (Handle::new(Counted(dropped.clone(), [i as u64; 20])), Handle::new(i))).collect();
            assert!(all.iter().enumerate().all(|(i, (a, b))| a.1 == [i as u64; 20] && **b == i));
            let (some, others): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(i, _)| i % 3 == 0);
            // Blocks may end on another thread than they were made on.
            std::thread::spawn(move || drop(some)).join().unwrap();
            drop(others);
            assert_eq!(dropped.load(Ordering::Relaxed), (round + 1) * many);
            trim();
        }
    }

    #[test]
    fn only_the_only_handle_gives_the_value_for_writing() {
        let mut a = Handle::new(String::from("a"));
        let b = a.clone();
        assert!(
            Handle::get_mut(&mut a).is_none() && !Handle::is_only(&a) && Handle::address(&a) == Handle::address(&b)
        );
        drop(b);
        Handle::get_mut(&mut a).unwrap().push('b');
        assert_eq!((&a[..], Handle::count(&a)), ("ab", 1));
    }

    #[test]
    fn a_value_that_panics_as_it_goes_leaves_its_memory_in_order() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("on purpose");
            }
        }
        let bomb = Handle::new(Bomb);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(bomb))).is_err());
        let (a, b) = (Handle::new(1), Handle::new(2));
        assert_eq!((*a, *b), (1, 2));
    }
}
