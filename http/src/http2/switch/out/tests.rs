use super::*;

#[test]
fn long_runs_are_sent_from_where_they_were_read() {
    let sent: Vec<u8> = (0..8000_u32).map(|i| (i % 251) as u8).collect();
    let mut out = Out::default();
    let mut input = Input::new(&sent);
    assert_eq!(out.pass(&mut input, 10), Some(10));
    assert_eq!(out.pass(&mut input, 5000), Some(5000));
    assert_eq!(out.pass(&mut input, 20), Some(20));
    assert_eq!(out.pass(&mut input, usize::MAX), Some(2970));
    assert_eq!(out.pass(&mut input, usize::MAX), None);
    let parts = out.parts(&input);
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    assert_eq!((lengths.as_slice(), parts.concat()), (&[10, 5000, 20, 2970][..], sent.clone()));
    drop(parts);
    out.keep(input, 3000);
    assert_eq!(out.bytes(), &sent[3000..], "what is not taken waits");
}

#[test]
fn as_many_runs_as_there_may_be() {
    let sent = vec![7; WORTH * 2 * MOST_RUNS];
    let (mut out, mut input) = (Out::default(), Input::new(&sent));
    while out.pass(&mut input, WORTH).is_some() {
        out.bytes.push(8);
    }
    let parts = out.parts(&input);
    assert_eq!(parts.len(), 2 * MOST_RUNS);
    let all = parts.concat();
    drop(parts);
    assert_eq!(all, [vec![7; WORTH], vec![8]].concat().repeat(2 * MOST_RUNS));
    out.keep(input, all.len());
    assert!(out.is_empty());
}

#[test]
fn much_that_waits_costs_no_more_than_little() {
    const STEP: usize = 1000;
    let all: Vec<u8> = (0..1 << 20).map(|i: u32| (i >> 8) as u8).collect();
    let mut out = Out { bytes: all.clone(), sent: 0 };
    let (mut taken, mut moved) = (0, 0);
    while !out.is_empty() {
        let before = out.sent;
        let now = STEP.min(out.len());
        out.advance(now);
        taken += now;
        assert!(out.bytes() == &all[taken..]);
        moved += if out.sent < before { out.len() } else { 0 };
    }
    assert!(moved < all.len(), "{moved} bytes were moved");
}
