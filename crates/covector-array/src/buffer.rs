//! Memory: aligned blocks, reused through a bounded pool.
//!
//! First touch of fresh memory is the slowest thing a tensor library does, so freed blocks are kept and handed out again,
//! and large blocks ask for huge pages. Small blocks, where a lock would cost more than the arithmetic, go round within a
//! thread, and blocks are counted there too.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::handle::{self, Handle};
use crate::mapping::Mapping;
use crate::outline::Ledger;
use crate::pages::{self, ALIGN, HUGE};
use crate::tally::{Share, Tally};

/// Freed blocks kept for reuse, in bytes; beyond it those go back to the system that were spare for longest.
const POOL_LIMIT: usize = 1 << 30;
/// Classes whose blocks go round within a thread: up to 4 KiB.
const SMALL: usize = 20;
/// Bytes of spare blocks a thread keeps of each: as many as a graph of a thousand numbers holds at a time.
const SPARE: usize = 128 << 10;

static POOL: Mutex<Pool> = Mutex::new(Pool::new());
static LIVE_BYTES: Tally = Tally::new();

thread_local! {
    static LOCAL: RefCell<Local> = RefCell::new(Local::new());
}

/// Bytes of all buffers alive now (the pool's spare blocks not counted).
pub fn live_bytes() -> usize {
    LIVE_BYTES.sum()
}

/// The number of calls of [`peak_bytes`] that run, and the most bytes that were alive meanwhile.
static WATCHED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The most [`live_bytes`] there were while `work` ran, in this thread or another. Allocating is slower meanwhile.
///
/// Calls that overlap see one another's peaks.
pub fn peak_bytes(work: impl FnOnce()) -> usize {
    /// Also ends when `work` panics.
    struct Watch;
    impl Drop for Watch {
        fn drop(&mut self) {
            WATCHED.fetch_sub(1, Ordering::Relaxed);
        }
    }
    // A call that begins within another must not take its peak away.
    if WATCHED.fetch_add(1, Ordering::Relaxed) == 0 {
        PEAK.store(live_bytes(), Ordering::Relaxed);
    }
    let _watch = Watch;
    work();
    PEAK.load(Ordering::Relaxed)
}

fn watch() {
    if WATCHED.load(Ordering::Relaxed) > 0 {
        PEAK.fetch_max(live_bytes(), Ordering::Relaxed);
    }
}

/// Gives every spare block of the pool, and of this thread, back to the system, and with glibc what its allocator kept of freed memory.
///
/// For what is done once and frees much, such as loading a model: blocks that are asked for next have to be fetched anew.
///
/// ```
/// use covector_array::{Array, DType, trim_pool};
/// let setting_up = Array::full([1 << 20], 1.0, DType::F32).contiguous();
/// drop(setting_up);
/// trim_pool();
/// ```
/// Source: `torch.cuda.empty_cache`.
pub fn trim_pool() {
    let spare = LOCAL.try_with(|local| local.borrow_mut().spare.each_mut().map(std::mem::take));
    drop(spare);
    handle::trim();
    let pool = std::mem::replace(&mut *POOL.lock().unwrap_or_else(|e| e.into_inner()), Pool::new());
    let small = pool.small.into_iter().enumerate().flat_map(|(class, all)| all.into_iter().map(move |x| (class, x)));
    small.chain(pool.large).for_each(give_back);
    // The allocator keeps what was freed at the end of its heap, tens of megabytes.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes no memory that is in use.
    unsafe {
        libc::malloc_trim(0)
    };
}

/// A handle on a block that counts its owners. The last one leaves a small block, with its count, to the thread it is on.
#[derive(Clone)]
pub(crate) struct Storage(ManuallyDrop<Handle<Buffer>>);

impl Storage {
    /// A block of at least `len` bytes, aligned to 64, of undefined content but initialised as far as plain numbers go:
    /// write before reading.
    pub fn uninit(len: usize) -> Storage {
        let class = class_of(len);
        assert!(len <= MOST, "out of memory: a block of {len} bytes is more than any machine has");
        let spare = if class < SMALL { LOCAL.try_with(|local| local.borrow_mut().take(class)) } else { Ok(None) };
        let buffer = match spare {
            Ok(Some(buffer)) => buffer,
            _ => {
                let buffer = Handle::new(Buffer::uninit(class));
                count(class_bytes(class));
                buffer
            }
        };
        watch();
        Storage(ManuallyDrop::new(buffer))
    }

    /// A handle without a block, counted in `ledger` as if it had one.
    pub fn outline(len: usize, ledger: &Arc<Ledger>) -> Storage {
        let class = class_of(len);
        ledger.add(class_bytes(class));
        let (ptr, counted) = (NonNull::dangling(), AtomicBool::new(false));
        let kind = Kind::Outline(ledger.clone());
        Storage(ManuallyDrop::new(Handle::new(Buffer { ptr, class, counted, kind })))
    }

    /// A handle on memory that others own and that lives as long as `owner`: read, never written, not counted.
    pub fn foreign(ptr: NonNull<u8>, owner: Box<dyn Any + Send + Sync>) -> Storage {
        let (counted, kind) = (AtomicBool::new(false), Kind::Foreign(owner));
        Storage(ManuallyDrop::new(Handle::new(Buffer { ptr, class: usize::MAX, counted, kind })))
    }

    /// A handle on a mapped file from this byte on.
    pub fn mapped(map: &Arc<Mapping>, offset: usize) -> Storage {
        let at = map.bytes()[offset..].as_ptr().cast_mut();
        let ptr = NonNull::new(at).expect("slices do not begin at 0");
        Storage::foreign(ptr, Box::new(map.clone()))
    }

    /// Where this block is counted, if it is an outline.
    pub fn ledger(&self) -> Option<&Arc<Ledger>> {
        match &self.0.kind {
            Kind::Outline(ledger) => Some(ledger),
            _ => None,
        }
    }

    /// A number that tells blocks alive at the same time apart.
    pub fn address(&self) -> usize {
        Handle::address(&self.0)
    }

    /// True if no other handle sees the block, and it is our own: then the holder may write it.
    pub fn is_unique(&mut self) -> bool {
        Handle::is_only(&self.0) && !matches!(self.0.kind, Kind::Foreign(_))
    }

    pub fn as_ptr(&self) -> *mut u8 {
        assert!(self.ledger().is_none(), "the outline of an array has no elements");
        self.0.ptr.as_ptr()
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // SAFETY: the handle is being dropped, so nobody looks at it again.
        let buffer = unsafe { ManuallyDrop::take(&mut self.0) };
        // The only handle there is cannot be copied meanwhile.
        if buffer.class < SMALL && Handle::is_only(&buffer) && matches!(buffer.kind, Kind::Block) {
            let _ = LOCAL.try_with(|local| local.borrow_mut().put(buffer));
        }
    }
}

/// What a thread keeps to itself.
struct Local {
    spare: [Vec<Handle<Buffer>>; SMALL],
    /// Bytes handed out here less those taken back here.
    live: Share,
}

impl Local {
    fn new() -> Local {
        Local { spare: [const { Vec::new() }; SMALL], live: LIVE_BYTES.share() }
    }

    fn take(&mut self, class: usize) -> Option<Handle<Buffer>> {
        let buffer = self.spare[class].pop()?;
        buffer.counted.store(true, Ordering::Relaxed);
        self.live.add(class_bytes(class));
        Some(buffer)
    }

    /// Keeps a block nobody else holds, unless there are enough.
    fn put(&mut self, buffer: Handle<Buffer>) {
        let class = buffer.class;
        buffer.counted.store(false, Ordering::Relaxed);
        self.live.add(class_bytes(class).wrapping_neg());
        if (self.spare[class].len() + 1) * class_bytes(class) <= SPARE {
            self.spare[class].push(buffer);
        }
    }
}

/// Adds to the bytes alive; to take away, adds the negative.
fn count(bytes: usize) {
    if LOCAL.try_with(|local| local.borrow().live.add(bytes)).is_err() {
        LIVE_BYTES.add(bytes);
    }
}

/// No address space is larger.
const MOST: usize = isize::MAX as usize / 2;
/// Four classes per power of two from 64 bytes up: at most a quarter of a block is unused. From two megabytes on there is one
/// for every quarter of a megabyte, or an eighth would be unused of what matters most.
const QUARTERS: usize = 4 * 14;
const GRAIN: usize = 256 << 10;

fn class_of(bytes: usize) -> usize {
    if bytes > HUGE {
        return QUARTERS - 1 + (bytes - HUGE).div_ceil(GRAIN);
    }
    let units = bytes.max(1).div_ceil(ALIGN);
    if units <= 4 {
        return units - 1;
    }
    let top = usize::BITS - 1 - (units - 1).leading_zeros();
    let quarter = ((units - 1) >> (top - 2)) & 3;
    4 * (top as usize - 1) + quarter
}

fn class_bytes(class: usize) -> usize {
    if class >= QUARTERS {
        return HUGE + (class - (QUARTERS - 1)) * GRAIN;
    }
    if class < 4 {
        return (class + 1) * ALIGN;
    }
    let (top, quarter) = (class / 4 + 1, class % 4);
    ((5 + quarter) << (top - 2)) * ALIGN
}

struct Block(NonNull<u8>);
// SAFETY: a spare block is owned by the pool alone.
unsafe impl Send for Block {}

/// Gives a spare block to the system.
fn give_back((class, Block(ptr)): (usize, Block)) {
    // SAFETY: the block has the size of its class and nobody owns it any more.
    unsafe { pages::free(ptr, class_bytes(class)) };
}

/// Spare blocks.
struct Pool {
    small: [Vec<Block>; QUARTERS],
    /// With their classes, those that were spare for longest first: there are at most a few hundred.
    large: VecDeque<(usize, Block)>,
    bytes: usize,
}

impl Pool {
    const fn new() -> Pool {
        Pool { small: [const { Vec::new() }; QUARTERS], large: VecDeque::new(), bytes: 0 }
    }

    fn take(&mut self, class: usize) -> Option<Block> {
        let block = match self.small.get_mut(class) {
            Some(blocks) => blocks.pop()?,
            None => {
                let at = self.large.iter().rposition(|(c, _)| *c == class)?;
                self.large.remove(at)?.1
            }
        };
        self.bytes -= class_bytes(class);
        Some(block)
    }

    /// Keeps a block; what goes beyond the limit is taken out: large blocks that were spare for longest, or else this one.
    fn put(&mut self, class: usize, block: Block) -> Vec<(usize, Block)> {
        let bytes = class_bytes(class);
        if bytes > POOL_LIMIT {
            return vec![(class, block)];
        }
        let mut surplus = Vec::new();
        while self.bytes + bytes > POOL_LIMIT {
            let Some(oldest) = self.large.pop_front() else {
                surplus.push((class, block));
                return surplus;
            };
            self.bytes -= class_bytes(oldest.0);
            surplus.push(oldest);
        }
        self.bytes += bytes;
        match self.small.get_mut(class) {
            Some(blocks) => blocks.push(block),
            None => self.large.push_back((class, block)),
        }
        surplus
    }
}

/// Whose the bytes of a buffer are.
enum Kind {
    /// The buffer's, from the pool.
    Block,
    /// There are none; they are counted.
    Outline(Arc<Ledger>),
    /// Another's, which stay as long as this: a mapped file's, or those of an object of another language.
    Foreign(#[expect(dead_code, reason = "held so that the bytes stay")] Box<dyn Any + Send + Sync>),
}

/// An owned block, or what stands for one.
struct Buffer {
    ptr: NonNull<u8>,
    class: usize,
    /// False for a spare block.
    counted: AtomicBool,
    kind: Kind,
}

// SAFETY: a Buffer owns its block, or holds what keeps another's alive; shared access is read-only, writing needs `&mut` (or a kernel's proof of uniqueness).
unsafe impl Send for Buffer {}
unsafe impl Sync for Buffer {}

// A panic leaves bytes as they are, and of another's owner nothing is ever called but its drop.
impl std::panic::UnwindSafe for Buffer {}
impl std::panic::RefUnwindSafe for Buffer {}

impl Buffer {
    fn uninit(class: usize) -> Buffer {
        let bytes = class_bytes(class);
        let spare = POOL.lock().unwrap_or_else(|e| e.into_inner()).take(class);
        // A panic, not an abort: a caller that guards its work (a server, a notebook) survives one request too large.
        let fresh = || {
            pages::fresh(bytes).unwrap_or_else(|| panic!("out of memory: the system refused a block of {bytes} bytes"))
        };
        let ptr = spare.map_or_else(fresh, |Block(ptr)| ptr);
        Buffer { ptr, class, counted: AtomicBool::new(true), kind: Kind::Block }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        match &self.kind {
            Kind::Block => (),
            Kind::Outline(ledger) => return ledger.remove(class_bytes(self.class)),
            Kind::Foreign(_) => return,
        }
        let bytes = class_bytes(self.class);
        if *self.counted.get_mut() {
            count(bytes.wrapping_neg());
        }
        let surplus = POOL.lock().unwrap_or_else(|e| e.into_inner()).put(self.class, Block(self.ptr));
        surplus.into_iter().for_each(give_back);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_is_refused_is_not_counted() {
        let refused = std::panic::catch_unwind(|| Storage::uninit(7 << 45));
        assert!(refused.is_err() && live_bytes() < 1 << 45, "{} bytes live", live_bytes());
    }

    #[test]
    fn blocks_are_counted_wherever_they_are_made_and_dropped() {
        // Large enough that no other test of this process matters.
        let (size, many) = (1 << 12, 1 << 16);
        let before = live_bytes();
        let blocks = std::thread::spawn(move || (0..many).map(|_| Storage::uninit(size)).collect::<Vec<_>>()).join();
        let alive = live_bytes().wrapping_sub(before) as isize;
        assert!(alive.abs_diff((size * many) as isize) < size * many / 10, "{alive}");
        let copies = blocks.as_ref().unwrap().clone();
        std::thread::scope(|scope| {
            scope.spawn(move || drop(blocks));
            drop(copies);
        });
        let left = live_bytes().wrapping_sub(before) as isize;
        assert!(left.unsigned_abs() < size * many / 10, "{left}");
    }

    #[test]
    fn the_pool_keeps_what_was_freed_last_and_never_more_than_its_limit() {
        let mut pool = Pool::new();
        let mut given = 0;
        let classes = || (0..700).map(|i| class_of(HUGE + (i + 1) * GRAIN / 2)).chain([0, 7, QUARTERS - 1]);
        for class in classes().chain(classes()) {
            let block = Block(pages::fresh(class_bytes(class)).expect("address space"));
            let at = block.0;
            for block in pool.put(class, block) {
                given += class_bytes(block.0);
                give_back(block);
            }
            assert!(pool.bytes <= POOL_LIMIT);
            let again = pool.take(class).expect("it was kept");
            assert_eq!(again.0, at, "the last one of its size comes first");
            assert!(pool.put(class, again).is_empty());
        }
        assert!(given > POOL_LIMIT);
        let huge = class_of(POOL_LIMIT + 1);
        let block = Block(pages::fresh(class_bytes(huge)).expect("address space"));
        let before = pool.bytes;
        let back = pool.put(huge, block);
        assert_eq!((back.len(), back[0].0, pool.bytes), (1, huge, before), "the others stay");
        back.into_iter().for_each(give_back);
        pool.large.into_iter().for_each(give_back);
        pool.small.into_iter().enumerate().for_each(|(c, all)| all.into_iter().for_each(|x| give_back((c, x))));
    }

    #[test]
    fn classes_hold_their_sizes_and_waste_at_most_a_quarter() {
        for bytes in (1..5000).chain([1 << 20, (1 << 20) + 1, HUGE, HUGE + 1, 3_000_000, 1 << 33, (1 << 33) + 1]) {
            let class = class_of(bytes);
            assert!(class_bytes(class) >= bytes, "{bytes}");
            assert!(class == 0 || class_bytes(class - 1) < bytes, "{bytes} fits a smaller class");
            assert_eq!(class < SMALL, bytes <= 4096, "{bytes}");
            let unused = class_bytes(class) - bytes;
            assert!(bytes < 256 || unused <= if bytes > HUGE { bytes / 8 } else { bytes / 4 + ALIGN }, "{bytes}");
        }
    }
}
