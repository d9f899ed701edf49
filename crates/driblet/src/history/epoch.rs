use std::fmt;
use std::str::FromStr;

/// Tells a history apart from all others: random bytes that were made with it. A counter means something only beside
/// the epoch of its history.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Epoch([u8; 8]);

impl Epoch {
    pub(super) fn new(bytes: [u8; 8]) -> Epoch {
        Epoch(bytes)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl FromStr for Epoch {
    type Err = ();

    fn from_str(text: &str) -> Result<Epoch, ()> {
        let is_shown = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_shown);
        number.map(|number| Epoch(number.to_be_bytes())).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_sixteen_digits() {
        let epoch = Epoch::new([0, 1, 2, 3, 4, 5, 6, 0xff]);
        assert_eq!(epoch.to_string(), "00010203040506ff");
        assert_eq!("00010203040506ff".parse(), Ok(epoch));
        for wrong in ["", "1", "00010203040506FF", "+0010203040506ff", "00010203040506ff0"] {
            assert_eq!(wrong.parse::<Epoch>(), Err(()), "{wrong}");
        }
    }
}
