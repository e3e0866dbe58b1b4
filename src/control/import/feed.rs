//! What is received by a task, read by a thread: pieces of a body, and whether it ended as its sender meant.
//!
//! Never takes a body for whole whose sender went away in the middle.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::problem::Refusal;

/// Pieces that wait to be read; whoever sends more waits.
const WAITING: usize = 16;

/// A piece, or the end.
enum Piece {
    Bytes(Bytes),
    End,
    Refused(Box<Refusal>),
}

/// Where pieces are put in.
#[derive(Debug)]
pub struct Feeder(Sender<Piece>);

/// Where they come out.
#[derive(Debug)]
pub struct Feed {
    pieces: Receiver<Piece>,
    present: Bytes,
    is_over: bool,
}

/// Both ends.
pub fn feed() -> (Feeder, Feed) {
    let (sender, pieces) = channel(WAITING);
    (Feeder(sender), Feed { pieces, present: Bytes::new(), is_over: false })
}

impl Feeder {
    /// Puts a piece in; tells whether anybody still reads.
    pub async fn put(&self, bytes: Bytes) -> bool {
        self.0.send(Piece::Bytes(bytes)).await.is_ok()
    }

    /// The body ended as it should. Whatever else ends it is a fault.
    pub async fn end(self) {
        // Who has stopped reading needs no end.
        let _ = self.0.send(Piece::End).await;
    }

    /// No more comes, for this reason.
    pub async fn refuse(self, refusal: Refusal) {
        // Who has stopped reading needs no reason.
        let _ = self.0.send(Piece::Refused(Box::new(refusal))).await;
    }
}

impl Read for Feed {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.present.is_empty() && !self.is_over {
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.present = bytes,
                Some(Piece::End) => self.is_over = true,
                Some(Piece::Refused(refusal)) => return Err(io::Error::other(*refusal)),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let taken = to.len().min(self.present.len());
        to[..taken].copy_from_slice(&self.present[..taken]);
        self.present.advance(taken);
        Ok(taken)
    }
}
