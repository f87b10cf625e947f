//! Locks on single bytes of a file, which belong to whoever opened it (open file description locks) and go with it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Byte that the card holds.
pub(crate) const CARD: i64 = 0;
/// Byte that the host holds.
pub(crate) const HOST: i64 = 1;

fn call(file: &File, command: libc::c_int, byte: i64) -> io::Result<libc::flock> {
    // SAFETY: `flock` is made of integers.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = byte;
    lock.l_len = 1;
    // SAFETY: the descriptor is open, and the commands used here take a pointer to a `flock`, which lives.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(lock)
}

/// Takes a byte; false when somebody else holds it.
pub(crate) fn take(file: &File, byte: i64) -> io::Result<bool> {
    match call(file, libc::F_OFD_SETLK, byte) {
        Ok(_) => Ok(true),
        Err(error) => match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Ok(false),
            _ => Err(error),
        },
    }
}

/// True when somebody else holds a byte. An error is taken for a no: whoever asks gives up then, as it should.
pub(crate) fn held(file: &File, byte: i64) -> bool {
    call(file, libc::F_OFD_GETLK, byte)
        .is_ok_and(|lock| lock.l_type != libc::F_UNLCK as libc::c_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_has_one_holder_and_goes_with_it() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let open = || {
            File::options()
                .read(true)
                .write(true)
                .open(file.path())
                .expect("opens")
        };
        let (one, two) = (open(), open());
        assert!(take(&one, CARD).expect("lock"));
        assert!(!take(&two, CARD).expect("lock"), "held by the first");
        assert!(take(&two, HOST).expect("lock"), "another byte");
        assert!(held(&two, CARD) && held(&one, HOST));
        assert!(!held(&one, CARD), "one's own lock is not somebody else's");
        drop(one);
        assert!(!held(&two, CARD));
        assert!(take(&two, CARD).expect("lock"));
    }
}
