//! A sink that takes every line, and one that takes none.

use std::sync::Mutex;
use std::sync::mpsc::Sender;

use super::*;

/// Takes a line whenever it is let.
struct Gate {
    entered: Sender<()>,
    open: Arc<Mutex<()>>,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.entered.send(());
        let _open = self.open.lock().unwrap();
        self.taken.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn l14_who_logs_never_waits_and_what_finds_no_room_is_counted() {
    let (entered, enters) = std::sync::mpsc::channel();
    let (open, taken) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(Vec::new())));
    let (queue, logging) = write_to(Gate { entered, open: Arc::clone(&open), taken: Arc::clone(&taken) }).unwrap();
    let shut = open.lock().unwrap();
    queue.make_writer().write_all(b"first\n").unwrap();
    // It is in the writer's hands, and there it stays.
    enters.recv().unwrap();
    let before = dropped();
    for _ in 0..QUEUED_LINES {
        queue.make_writer().write_all(b"next\n").unwrap();
    }
    assert_eq!(dropped(), before);
    for _ in 0..3 {
        queue.make_writer().write_all(b"lost\n").unwrap();
    }
    assert_eq!(dropped(), before + 3);
    // Everything that found room is written when there is a reader again, though the log is told to end at once.
    let Logging { queue: _, ending, ended } = &logging;
    ending.store(true, Ordering::Release);
    drop(shut);
    let until = ended.recv_timeout(Duration::from_secs(20));
    assert_eq!(until, Err(std::sync::mpsc::RecvTimeoutError::Disconnected), "the writer ends");
    let taken = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
    assert_eq!(taken, format!("first\n{}", "next\n".repeat(QUEUED_LINES)));
}

#[test]
fn l14_a_sink_that_takes_nothing_keeps_nobody_from_ending() {
    let (entered, enters) = std::sync::mpsc::channel();
    let (open, taken) = (Arc::new(Mutex::new(())), Arc::default());
    let (queue, logging) = write_to(Gate { entered, open: Arc::clone(&open), taken }).unwrap();
    let _shut = open.lock().unwrap();
    queue.make_writer().write_all(b"first\n").unwrap();
    enters.recv().unwrap();
    drop(logging);
}
