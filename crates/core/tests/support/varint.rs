//! Writes numbers as deltas have them. The tests do not use the core's own function, which is what they check.
#![allow(unreachable_pub)]

/// Appends an unsigned LEB128 integer.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while 0x80 <= value {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
