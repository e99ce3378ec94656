//! Files as memory.

use std::fs::File;
use std::io;

use memmap2::Mmap;

/// A file mapped into memory for reading: its pages are read when they are looked at, and belong to the system's cache.
///
/// Arrays may share it ([`Array::mapped`](crate::Array::mapped)). The file should stay as it is for as long as they live: to
/// replace it by renaming another one over it does no harm, as the map keeps the old content; to write into it
/// changes numbers under way, and to cut it short ends the process with a bus error at the next look behind the new end.
/// Who cannot trust the file to stay should read it instead.
pub struct Mapping(Mmap);

impl Mapping {
    /// Maps all of a file.
    ///
    /// # Errors
    /// If the system does not map it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use covector_array::{Array, DType, Mapping};
    /// # let path = std::env::temp_dir().join(format!("covector-array-map-{}", std::process::id()));
    /// std::fs::write(&path, [0, 0, 128, 63])?;
    /// let map = Arc::new(Mapping::of(&std::fs::File::open(&path)?)?);
    /// assert_eq!(Array::mapped(&map, 0, 1, DType::F32).to_f64_vec(), [1.0]);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn of(file: &File) -> io::Result<Mapping> {
        // SAFETY: the map is private to this process and only read. That nobody else writes into the file cannot be proved from
        // here; it is the condition of this type, said above, as of every reader of maps.
        let map = unsafe { Mmap::map(file)? };
        Ok(Mapping(map))
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mapping of {} bytes", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kernels::{self, Inputs, Kernel};
    use crate::math::Num;
    use crate::{Array, DType, live_bytes};

    fn map_of(name: &str, bytes: &[u8]) -> Arc<Mapping> {
        let path = std::env::temp_dir().join(format!("covector-mapping-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let map = Mapping::of(&File::open(&path).unwrap()).unwrap();
        // The name goes, the content stays with the map.
        std::fs::remove_file(&path).unwrap();
        Arc::new(map)
    }

    #[test]
    fn arrays_share_a_map_where_elements_may_lie_and_copy_elsewhere() {
        let values: Vec<u8> = [1.0f32, 2.0, 3.0].iter().flat_map(|x| x.to_le_bytes()).chain([1, 0, 7]).collect();
        let map = map_of("share", &values);
        let shared = Array::mapped(&map, 4, 2, DType::F32);
        assert_eq!(shared.to_f64_vec(), [2.0, 3.0]);
        let inside = |a: &Array| map.bytes().as_ptr_range().contains(&a.ptr::<u8>());
        assert!(inside(&shared) && !inside(&Array::mapped(&map, 1, 2, DType::F32)));
        let bools = Array::mapped(&map, 12, 3, DType::Bool);
        assert!(!inside(&bools));
        assert_eq!(bools.to_vec::<bool>(), [true, false, true]);
        assert_eq!(Array::mapped(&map, 15, [0, 3], DType::F64).size(), 0);
        assert_eq!(Array::mapped(&map_of("empty", b""), 0, 0, DType::F32).size(), 0);
    }

    #[test]
    fn a_mapped_array_is_never_overwritten() {
        let map = map_of("write", &[1.0f32, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
        let mut only = Array::mapped(&map, 0, 2, DType::F32);
        assert!(!only.is_unique() && !only.is_reusable() && only.as_mut_slice::<f32>().is_none());
        fn twice(_: DType) -> Option<Kernel> {
            Some(Kernel::unary(|x: f32| Num::add(x, x)))
        }
        // The kernel holds the only handle, and would write in place into a block of the pool.
        let sum = kernels::map(twice, DType::F32, Inputs::from_iter([Array::mapped(&map, 0, 2, DType::F32)]));
        assert_eq!((sum.to_f64_vec(), only.to_f64_vec()), (vec![2.0, 4.0], vec![1.0, 2.0]));
        drop(map);
        assert_eq!(only.to_f64_vec(), [1.0, 2.0], "an array keeps its map");
    }

    #[test]
    fn a_large_map_is_no_memory_of_ours() {
        let map = map_of("large", &vec![0; 64 << 20]);
        let before = live_bytes();
        let arrays: Vec<Array> = (0..64).map(|i| Array::mapped(&map, i << 20, 1 << 18, DType::F32)).collect();
        assert!(live_bytes().wrapping_sub(before) < 32 << 20);
        assert_eq!(arrays[63].slice(&[5], &[1], &[1]).to_f64_vec(), [0.0]);
    }
}
