//! Where WebSocket frames begin and end in a stream of bytes (RFC 6455 §5.2), and the one frame that is made here.
//!
//! Looks at lengths alone: never at a payload, never at what a frame means.

/// Follows the frames of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frames {
    /// Bytes of the present frame's head so far, of at most 14.
    head: [u8; 14],
    have: usize,
    /// Bytes of the payload that are still to come, once the head is whole.
    payload: u64,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { head: [0; 14], have: 0, payload: 0 }
    }

    /// Whether the next byte begins a frame.
    pub(super) fn is_between(&self) -> bool {
        self.have == 0 && self.payload == 0
    }

    /// Bytes that may pass before the next look: none between two frames, and never beyond the present one.
    pub(super) fn wanted(&self) -> u64 {
        match self.payload {
            _ if self.is_between() => 0,
            0 => (self.head_length() - self.have) as u64,
            payload => payload,
        }
    }

    /// Takes bytes that have passed.
    pub(super) fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let passed = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
                self.payload -= passed as u64;
                bytes = &bytes[passed..];
                continue;
            }
            let passed = (self.head_length() - self.have).min(bytes.len());
            self.head[self.have..self.have + passed].copy_from_slice(&bytes[..passed]);
            self.have += passed;
            bytes = &bytes[passed..];
            // The second byte says how much longer the head is.
            if self.have >= 2 && self.have == self.head_length() {
                self.payload = self.payload_length();
                self.have = 0;
            }
        }
    }

    /// Length of the head, as far as it is known.
    fn head_length(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let extended = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + extended + if self.head[1] & 0x80 == 0 { 0 } else { 4 }
    }

    fn payload_length(&self) -> u64 {
        match self.head[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes([self.head[2], self.head[3]])),
            127 => u64::from_be_bytes(std::array::from_fn(|at| self.head[2 + at])),
            short => u64::from(short),
        }
    }
}

/// A close frame of a server (RFC 6455 §5.5.1).
pub(super) fn close(status: u16, reason: &str) -> Vec<u8> {
    // A control frame holds 125 bytes, two of which are the status; codes are ASCII.
    let reason = &reason.as_bytes()[..reason.len().min(123)];
    let mut frame = vec![0x88, reason.len() as u8 + 2];
    frame.extend_from_slice(&status.to_be_bytes());
    frame.extend_from_slice(reason);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes the bytes in pieces of every size and says after which bytes a frame had ended.
    #[track_caller]
    fn check(bytes: &[u8], ends: &[usize]) {
        for size in 1..=bytes.len() {
            let mut frames = Frames::new();
            let mut passed = 0;
            for piece in bytes.chunks(size) {
                frames.advance(piece);
                passed += piece.len();
                assert_eq!(frames.is_between(), passed == 0 || ends.contains(&passed), "{size}: after {passed}");
                assert_eq!(frames.wanted() == 0, frames.is_between());
                if let Some(end) = ends.iter().find(|end| **end > passed).filter(|_| !frames.is_between()) {
                    assert!(frames.wanted() <= (end - passed) as u64, "{size}: wants too much after {passed}");
                }
            }
        }
    }

    #[test]
    fn frames_of_every_form_are_followed() {
        check(&[0x81, 2, b'h', b'i', 0x8a, 0, 0x01, 1, b'x'], &[4, 6, 9]);
        check(&[0x82, 0x81, 1, 2, 3, 4, 0xff, 0x89, 0x80, 9, 9, 9, 9], &[7, 13]);
        let mut long = vec![0x82, 126, 0, 200];
        long.extend_from_slice(&[0x81; 200]);
        check(&long, &[204]);
        let mut longest = vec![0x82, 127, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3];
        longest.extend_from_slice(&[0x88, 2, 3, 232]);
        check(&longest, &[13, 17]);
    }

    #[test]
    fn lengths_that_nobody_sends_are_only_numbers() {
        let mut frames = Frames::new();
        frames.advance(&[0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
        assert_eq!(frames.wanted(), u64::MAX - 1);
    }

    #[test]
    fn a_close_frame_is_one_frame() {
        let frame = close(1008, "IP_ADDRESS_NOT_ON_ACCESS_LIST");
        assert_eq!(&frame[..4], &[0x88, 31, 3, 240]);
        check(&frame, &[frame.len()]);
        assert_eq!(close(1001, &"x".repeat(200)).len(), 127);
    }
}
