use jiff::{SignedDuration, Timestamp};

use super::{Ttl, time_left};

#[test]
fn durations_and_never_are_read_and_all_else_is_refused() {
    let read = |text: &str| text.parse::<Ttl>();
    assert_eq!(read("never"), Ok(Ttl::Never));
    assert_eq!(read("90m"), Ok(Ttl::For(SignedDuration::from_mins(90))));
    assert_eq!(read("1h30m"), read("90m"));
    assert_eq!(read("60s"), Ok(Ttl::For(SignedDuration::from_secs(60))));
    assert_eq!(read("720h"), Ok(Ttl::For(SignedDuration::from_hours(720))));
    for wrong in
        ["", "m", "90", "1.5h", "-5m", "59s", "721h", "1d", "Never", "5m ", "99999999999999999999h", "5µs"]
    {
        assert!(read(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_ttl_is_written_as_it_is_read() {
    for (text, written) in [("90m", "1h30m"), ("3600s", "1h"), ("61s", "1m1s"), ("never", "never")] {
        let ttl: Ttl = text.parse().expect("a ttl");
        assert_eq!(ttl.to_string(), written);
        assert_eq!(written.parse(), Ok(ttl));
    }
}

#[test]
fn the_end_counts_from_the_renewal() {
    let since: Timestamp = "2027-01-01T00:00:00Z".parse().expect("a time");
    let ttl: Ttl = "90m".parse().expect("a ttl");
    assert_eq!(ttl.end(since), Some("2027-01-01T01:30:00Z".parse().expect("a time")));
    assert_eq!(Ttl::Never.end(since), None);
    assert_eq!(ttl.end(Timestamp::MAX), Some(Timestamp::MAX));
}

#[test]
fn the_time_left_is_never_more_than_there_is_and_holds_until_its_next_change() {
    let mut left = SignedDuration::from_hours(100);
    let mut texts = Vec::new();
    while left > SignedDuration::ZERO {
        let (text, holds) = time_left(left);
        assert!(holds > SignedDuration::ZERO);
        assert_eq!(time_left(left - holds + SignedDuration::from_secs(1)).0, text, "{left:?}");
        texts.push(text);
        left -= holds;
    }
    assert_eq!(texts.first().map(String::as_str), Some("4d"));
    assert!(texts.windows(2).all(|pair| pair[0] != pair[1]), "{texts:?}");
    assert!(texts.len() < 100, "{}", texts.len());
    let last = ["60m", "50m", "40m", "30m", "20m", "15m", "10m", "5m", "4m", "3m", "2m", "1m", "<1m"];
    assert_eq!(texts[texts.len() - last.len()..], last);
    assert_eq!(time_left(SignedDuration::from_mins(59)).0, "50m");
    assert_eq!(time_left(SignedDuration::from_millis(3_599_900)).0, "60m");
    assert_eq!(time_left(SignedDuration::from_secs(-5)).0, "<1m");
}
