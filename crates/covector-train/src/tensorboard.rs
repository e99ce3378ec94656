//! TensorBoard's event files: records of protocol buffers, each with masked checksums.
//!
//! Source: TensorFlow's `tsl/lib/io/record_writer.h` (length, checksum, data, checksum) and `event.proto`.

/// The record a file begins with.
pub fn version(time: f64) -> Vec<u8> {
    let mut event = double(1, time);
    event.extend(bytes(3, b"brain.Event:2"));
    record(&event)
}

/// The record of one number.
pub fn scalar(time: f64, step: i64, tag: &str, value: f32) -> Vec<u8> {
    let mut entry = bytes(1, tag.as_bytes());
    entry.push(2 << 3 | 5);
    entry.extend(value.to_le_bytes());
    let mut event = double(1, time);
    event.push(2 << 3);
    event.extend(varint(step as u64));
    event.extend(bytes(5, &bytes(1, &entry)));
    record(&event)
}

fn double(field: u8, x: f64) -> Vec<u8> {
    let mut out = vec![field << 3 | 1];
    out.extend(x.to_le_bytes());
    out
}

fn bytes(field: u8, data: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    out.extend(varint(data.len() as u64));
    out.extend(data);
    out
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = length.to_vec();
    out.extend(masked(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked(data).to_le_bytes());
    out
}

/// CRC-32C, rotated and moved on so that checksums of checksums differ.
fn masked(data: &[u8]) -> u32 {
    let crc = crc32c(data);
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: a few dozen bytes per step need no table.
fn crc32c(data: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !data.iter().fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of RFC 3720, appendix B.4.
    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
    }

    #[test]
    fn numbers_of_seven_bits_at_a_time() {
        assert_eq!(varint(300), [0xac, 2]);
        assert_eq!(record(&[])[..8], [0; 8]);
    }
}
