//! WebAssembly modules for tests: each kind of section and operand, and the same code with other numbers.
#![allow(dead_code, unreachable_pub)]

use super::random::random_bytes;

/// By how much the numbers of a module moved.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moved {
    /// Added to the numbers of all functions from the sixth on.
    pub functions: u64,
    /// Added to addresses from 1,024 on.
    pub data: u64,
    /// Added to the numbers of locals from the third on.
    pub locals: u64,
    /// The function that has five more instructions, and the one that is left out.
    pub longer: Option<usize>,
    pub without: Option<usize>,
    /// Whether linked numbers take five bytes, however small they are.
    pub padded: bool,
}

/// The numbers of a module, and the random bytes that choose its code.
struct Writer {
    moved: Moved,
    random: Vec<u8>,
    out: Vec<u8>,
}

/// A module of some functions. A number stands for each random one.
pub fn module(number: u64, functions: usize, moved: Moved) -> Vec<u8> {
    let mut out = b"\0asm\x01\0\0\0".to_vec();
    section(&mut out, 0, b"\x04nameabcdefgh");
    section(&mut out, 1, &[1, 0x60, 0, 0]);
    section(&mut out, 3, &vec![0; functions]);
    let mut elements = Writer::new(0, moved);
    elements.unsigned(functions as u64);
    (0..functions as u64).for_each(|function| elements.function(function));
    section(&mut out, 9, &elements.out);
    let mut code = Writer::new(0, moved);
    code.unsigned(functions as u64);
    for function in (0..functions).filter(|function| moved.without != Some(*function)) {
        let body = body(number * 1000 + function as u64, moved.longer == Some(function), moved);
        code.unsigned(body.len() as u64);
        code.out.extend(body);
    }
    section(&mut out, 10, &code.out);
    let mut data = Writer::new(number, moved);
    data.unsigned(3);
    data.out.extend([0, 0x41]);
    data.constant(1024);
    data.out.push(0x0b);
    let words: Vec<u8> = (0..120u64).flat_map(|word| (data.address(900 + word * 8) as u32).to_le_bytes()).collect();
    let segments = [&words[..], &[&words[40..90], b"text of no use"].concat(), &random_bytes(number, 61)];
    for (place, segment) in segments.into_iter().enumerate() {
        // The first one has an address already; the others are copied by code.
        if place != 0 {
            data.out.push(1);
        }
        data.unsigned(segment.len() as u64);
        data.out.extend(segment);
    }
    section(&mut out, 11, &data.out);
    section(&mut out, 0, b"\x09producers after the data");
    out
}

fn section(out: &mut Vec<u8>, id: u8, bytes: &[u8]) {
    out.push(id);
    unsigned(out, bytes.len() as u64, 1);
    out.extend(bytes);
}

fn body(number: u64, is_longer: bool, moved: Moved) -> Vec<u8> {
    let mut body = Writer::new(number, moved);
    body.out.extend([2, 3, 0x7f, 2, 0x63, 0x70]);
    let len = 12 + usize::from(body.random[399] % 20);
    for at in 0..len {
        body.instruction(at * 4);
    }
    if is_longer {
        (0..5).for_each(|at| body.instruction(200 + at * 4));
    }
    body.out.push(0x0b);
    body.out
}

impl Writer {
    fn new(number: u64, moved: Moved) -> Writer {
        Writer { moved, random: random_bytes(number, 400), out: Vec::new() }
    }

    fn unsigned(&mut self, number: u64) {
        unsigned(&mut self.out, number, 1);
    }

    fn linked(&mut self, number: u64) {
        unsigned(&mut self.out, number, if self.moved.padded { 5 } else { 1 });
    }

    fn function(&mut self, function: u64) {
        self.linked(function + if 5 < function { self.moved.functions } else { 0 });
    }

    fn local(&mut self, local: u64) {
        self.unsigned(local + if 2 < local { self.moved.locals } else { 0 });
    }

    fn address(&self, address: u64) -> u64 {
        address + if 1024 <= address { self.moved.data } else { 0 }
    }

    fn constant(&mut self, number: i64) {
        let moved = if 1024 <= number { self.moved.data as i64 } else { 0 };
        signed(&mut self.out, number + moved);
    }

    /// The instruction that the random bytes from `at` on choose.
    fn instruction(&mut self, at: usize) {
        let [choice, a, b, c] = self.random[at..at + 4].try_into().unwrap_or_default();
        let wide = u64::from(a) << 8 | u64::from(b);
        match choice % 29 {
            0..=3 => {
                self.out.push(0x20 + c % 3);
                self.local(u64::from(a % 9));
            }
            4..=6 => {
                self.out.push(0x10);
                self.function(u64::from(a % 40));
            }
            7..=9 => {
                self.out.push(0x41);
                self.constant(wide as i64 / 9 - 300);
            }
            10..=12 => {
                self.out.extend([0x28 + c % 23, 2]);
                let address = self.address(wide / 7);
                self.linked(address);
            }
            13 => {
                self.out.push(0x42);
                self.constant(-(wide as i64) * 99_999_999);
            }
            14 => self.out.extend([0x43, a, b, c, a]),
            15 => self.out.extend([0x44, a, b, c, a, b, c, a, b]),
            16 => self.out.extend([0x02 + a % 3, 0x40]),
            17 => self.out.extend([0x0e, 3, 0, a % 4, 1, b % 4]),
            18 => self.out.extend([0x11, a, 0, 0x23, b % 3]),
            19 => self.out.extend([0x1c, 1, 0x7f, 0x0c, a % 3]),
            20 => self.out.extend([0xfc, [8, 10, 11, 2, 16, 17][usize::from(a % 6)], 0, 0]),
            21 => {
                self.out.extend([0xfd, [12, 13][usize::from(a % 2)]]);
                self.out.extend(random_bytes(wide, 16));
            }
            22 => self.out.extend([0xfd, [0, 54, 84, 92, 21][usize::from(a % 5)], 0, b, c % 4]),
            23 => self.out.extend([0xfe, [3, 0, 16][usize::from(a % 3)], 2, b & 127]),
            24 => self.out.extend([0xfb, a % 31, 1, 0, 1, 0]),
            25 => {
                // Around the numbers that take one byte more.
                self.out.push(0x41);
                let number = 50 + i64::from(a % 90) + self.moved.locals as i64;
                signed(&mut self.out, if b % 2 == 0 { number } else { -number });
            }
            26 => self.out.extend([0x42, 0x80, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, a | 0x80, 1]),
            27 => {
                self.out.push(0x42);
                signed(&mut self.out, (i64::from(a) << 40) + (i64::from(b % 4) << 3) + self.moved.data as i64);
            }
            _ => self.out.extend([0x45 + a % 100, 0xd2, 7, 0xd0, 0x70]),
        }
    }
}

/// LEB128 in at least so many bytes.
fn unsigned(out: &mut Vec<u8>, mut number: u64, least: usize) {
    for len in 1.. {
        let byte = number as u8 & 127;
        number >>= 7;
        if number == 0 && least <= len {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

fn signed(out: &mut Vec<u8>, mut number: i64) {
    while !matches!(number >> 6, 0 | -1) {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8 & 127);
}
