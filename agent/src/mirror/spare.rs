//! Whether the processors of this node have time left: copies are made of it, so that they take none of the app's.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read, Seek},
};

use super::pace::LOOK;

/// Ticks are coarse: what is looked at is what has gone by since so many looks.
const LOOKS: usize = 2;
/// Idle for so many ticks of a hundred.
const SPARE: u64 = 10;

/// What the kernel says, in ticks since it began, of all processors together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    idle: u64,
    all: u64,
}

/// Looks at `/proc/stat` now and then.
pub(super) struct Spare {
    stat: File,
    seen: VecDeque<Ticks>,
}

impl Spare {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { stat: File::open("/proc/stat")?, seen: VecDeque::with_capacity(LOOKS + 1) })
    }

    /// To be asked every [`LOOK`]. What cannot be read is taken for time that is left.
    pub(super) fn look(&mut self) -> bool {
        let now = match self.read() {
            Ok(now) => now,
            Err(error) => {
                tracing::debug!(%error, every = ?LOOK, "cannot see how busy the processors are");
                return true;
            }
        };
        self.seen.push_back(now);
        if self.seen.len() <= LOOKS {
            return true;
        }
        self.seen.pop_front().is_none_or(|before| is_spare(before, now))
    }

    fn read(&mut self) -> io::Result<Ticks> {
        let mut line = [0; 256];
        self.stat.rewind()?;
        let len = self.stat.read(&mut line)?;
        parse(&line[..len]).ok_or_else(|| io::Error::other("/proc/stat does not begin with the line \"cpu\""))
    }
}

fn is_spare(before: Ticks, now: Ticks) -> bool {
    let (idle, all) = (now.idle.saturating_sub(before.idle), now.all.saturating_sub(before.all));
    idle * 100 >= all * SPARE
}

/// The first line of `/proc/stat` (proc_stat(5)): `cpu user nice system idle iowait irq softirq steal …`. Of `guest` and
/// `guest_nice` the time is in `user` and `nice`. Time that was stolen is nobody's here.
fn parse(stat: &[u8]) -> Option<Ticks> {
    let line = std::str::from_utf8(stat).ok()?.lines().next()?;
    let mut words = line.split_ascii_whitespace();
    if words.next()? != "cpu" {
        return None;
    }
    let ticks: Vec<u64> = words.take(8).map(|word| word.parse().ok()).collect::<Option<_>>()?;
    let [_, _, _, idle, iowait, ..] = ticks[..] else { return None };
    Some(Ticks { idle: idle + iowait, all: ticks.iter().sum() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_ticks_are_told_from_others() {
        let before = parse(b"cpu  100 10 50 1000 40 3 7 20 5 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n").unwrap();
        assert_eq!(before, Ticks { idle: 1040, all: 1230 });
        let busy = Ticks { idle: 1041, all: 1250 };
        let spare = Ticks { idle: 1042, all: 1250 };
        assert!(!is_spare(before, busy) && is_spare(before, spare));
        assert!(is_spare(before, before), "nothing has gone by");
        assert!(is_spare(busy, before), "iowait may go back");
        assert_eq!(parse(b"cpu0 1 2 3 4 5 6 7 8\n"), None);
        assert_eq!(parse(b"cpu 1 2 3 four 5 6 7 8\n"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn this_machine_says_it_as_it_is_read() {
        let mut spare = Spare::new().unwrap();
        let first = spare.read().unwrap();
        assert!(first.all > first.idle && first.all > 0, "{first:?}");
        assert!(spare.look() && spare.look(), "nothing to compare with");
    }
}
