use super::*;

fn found(text: &str) -> Vec<(String, String, String)> {
    let rows = rows(text, &serde_yaml_ng::from_str(text).unwrap()).unwrap();
    rows.into_iter().map(|row| (row.path, shown(&row.default).unwrap(), row.text)).collect()
}

fn row(path: &str, default: &str, text: &str) -> (String, String, String) {
    (path.to_owned(), default.to_owned(), text.to_owned())
}

#[test]
fn a_comment_makes_a_row_of_what_is_below_it() {
    let text = "\
# Of the file.

one:
  # First line
  # and second.
  a: \"\"
  # A list.
  b:
    - operator: Exists
two:
  three:
    # Deep.
    c: 5
  # A whole.
  d:
    e: { f: 1 }
# The last.
g: [x]
";
    assert_eq!(
        found(text),
        [
            row("one.a", "\"\"", "First line and second."),
            row("one.b", "[{\"operator\":\"Exists\"}]", "A list."),
            row("two.three.c", "5", "Deep."),
            row("two.d", "{\"e\":{\"f\":1}}", "A whole."),
            row("g", "[\"x\"]", "The last."),
        ]
    );
}

#[test]
fn a_value_that_nobody_explains_is_an_error() {
    for text in [
        "a: 1\n",
        "# Of a.\na: 1\nb: 2\n",
        "one:\n  # Of a.\n  a: 1\n  b: 2\n",
        "one:\n  b: 2\n# Of c.\nc: 1\n",
    ] {
        let error = rows(text, &serde_yaml_ng::from_str(text).unwrap()).unwrap_err().to_string();
        assert!(error.contains("no comment"), "{text}: {error}");
    }
}
