//! What tells some bytes from others: how many they are, and their FNV-1a hash.

/// Of bytes as they come.
pub(crate) struct Fingerprint {
    length: u64,
    hash: u64,
}

impl Fingerprint {
    /// Of no bytes.
    pub fn new() -> Fingerprint {
        Fingerprint { length: 0, hash: 0xcbf2_9ce4_8422_2325 }
    }

    /// Takes more bytes.
    pub fn add<'a>(&mut self, bytes: impl IntoIterator<Item = &'a u8>) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
            self.length += 1;
        }
    }

    /// In words.
    pub fn said(&self) -> String {
        format!("{} bytes, {:016x}", self.length, self.hash)
    }
}

/// That of these bytes, in words.
pub(crate) fn fingerprint<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> String {
    let mut all = Fingerprint::new();
    all.add(bytes);
    all.said()
}
