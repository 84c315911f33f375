use super::*;

#[test]
fn lines_come_at_their_times() {
    let line = |ms, text: &str| Line { after: Duration::from_millis(ms), text: text.to_owned() };
    let drawing = draw(&[line(0, "  \x1b[2mclient\x1b[0m 10.0.0.1"), line(1500, "a <b> & c")]).unwrap();
    let times: Vec<&str> =
        drawing.lines().filter_map(|line| line.split_once("wait ")?.1.split(' ').next()).collect();
    assert_eq!(times, ["{", "0ms", "0ms", "0ms", "1500ms"]);
    assert!(drawing.contains("a &lt;b&gt; &amp; c"), "{drawing}");
    assert!(drawing.contains("$ cargo xtask demo"), "{drawing}");
}

#[test]
fn what_the_build_prints_is_left_out() {
    let lines =
        read("   Compiling byway\n\n  \x1b[2mclient\x1b[0m  10.0.0.1\nthe rest\n".as_bytes()).unwrap();
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["  \x1b[2mclient\x1b[0m  10.0.0.1", "the rest"]);
    assert!(read("nothing of ours\n".as_bytes()).is_err());
}
