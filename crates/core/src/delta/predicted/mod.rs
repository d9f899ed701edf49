//! Predicts the new bytes of a region in codec 5 from the bytes before them, as in `spec/predicted.md`.
//!
//! The model is a kind of prediction by partial matching (Cleary and Witten 1984) whose offers are ranked (Bloom 1996,
//! Fenwick 1997): what followed the same 8 bytes or more, then what followed the same 5, 3 and 2 bytes. A decision says of
//! each offer whether it is right, and a byte that nobody offers is spelled bit by bit. The probability of a decision is
//! mixed from three adaptive ones (Mahoney 2005). The model learns from the basis bytes near the gaps first. Any change in
//! this folder changes the format.

mod decision;
mod offers;
mod predictor;

pub(crate) use predictor::Predictor;
