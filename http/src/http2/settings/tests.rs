use proptest::prelude::*;

use super::*;

fn frame(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut frame = vec![0, 0, (settings.len() * SETTING) as u8, 4, 0, 0, 0, 0, 0];
    for (id, value) in settings {
        frame.extend(id.to_be_bytes());
        frame.extend(value.to_be_bytes());
    }
    frame
}

#[test]
fn settings_are_told() {
    assert_eq!(server_preface(&frame(&[])), ServerPreface::Http2);
    let all = frame(&[(3, 250), (4, 1 << 20), (6, 1_048_896), (8, 1), (0x1234, 7)]);
    assert_eq!(server_preface(&[all.as_slice(), b"more"].concat()), ServerPreface::Http2);
}

#[test]
fn what_other_servers_say_first_is_none() {
    let others: &[&[u8]] = &[
        b"HTTP/1.1 400 Bad Request\r\n",
        b"220 mail ESMTP\r\n",
        b"\x4a\0\0\0\x0a8.0.36",
        b"\0\0\x06\x04\x01\0\0\0\0",
        b"\0\0\x05\x04\0\0\0\0\0",
        b"\0\0\x06\x04\0\0\0\0\x01",
        b"\0\xff\xfc\x04\0\0\0\0\0",
    ];
    for bytes in others {
        assert_eq!(server_preface(bytes), ServerPreface::Other, "{}", bytes.escape_ascii());
    }
}

proptest! {
    #[test]
    fn the_verdict_is_the_same_however_the_bytes_are_cut(
        settings in prop::collection::vec((0..10_u16, any::<u32>()), 0..8),
        noise in prop::option::of((0..20_usize, any::<u8>())),
    ) {
        let mut bytes = frame(&settings);
        if let Some((at, byte)) = noise {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let last = server_preface(&bytes);
        for end in 0..bytes.len() {
            let early = server_preface(&bytes[..end]);
            prop_assert!(early == ServerPreface::NeedMore || early == last, "{early:?} at {end}, then {last:?}");
        }
    }
}
