use super::*;

fn outside() -> Outside {
    let var = |name: &str| (name == "A").then(|| "a.b".to_owned());
    Outside::new(var, |_| Err(std::io::ErrorKind::NotFound.into()), || None)
}

fn rendered(text: &str) -> Result<String, String> {
    render(text, &outside(), false).map(|it| it.text.replace(it.mark, "KEY"))
}

#[test]
fn the_key_is_marked_wherever_it_stands_alone() {
    for text in ["{{ key }}", "{{key}}", "{{- key -}}", "{{ key | regex_escape }}", "{{ key | safe }}"] {
        assert_eq!(rendered(text).as_deref(), Ok("KEY"), "{text}");
    }
    assert_eq!(rendered("{% if git_branch is defined %}a{% endif %}-{{ key }}").as_deref(), Ok("-KEY"));
}

#[test]
fn more_than_putting_the_key_in_is_refused() {
    for text in
        ["{{ key | upper }}", "{{ key ~ '-1' }}", "{% if key == 'a' %}{% endif %}", "{{ get_env(name=key) }}"]
    {
        let error = rendered(text).unwrap_err();
        assert!(error.contains("only `{{ key }}` alone"), "{text}: {error}");
    }
    // Not the key.
    assert_eq!(rendered("{% set monkey = 'key' %}{{ monkey }}").as_deref(), Ok("key"));
}

#[test]
fn variables_have_defaults_or_are_told() {
    assert_eq!(rendered(r#"{{ get_env(name="A", default="d") }}"#).as_deref(), Ok("a.b"));
    assert_eq!(rendered(r#"{{ get_env(name='B', default='d') }}"#).as_deref(), Ok("d"));
    assert_eq!(rendered(r#"{{ get_env(name="A") | regex_escape }}"#).as_deref(), Ok("a[.]b"));
    let error = rendered(r#"{{ get_env(name="B") }}"#).unwrap_err();
    assert!(error.contains("the variable B is not set"), "{error}");
    assert!(rendered("{{ get_env() }}").unwrap_err().contains("needs a name"));
    assert!(rendered("{{ nothing }}").unwrap_err().contains("nothing"));
    assert_eq!(rendered("{{ git_branch | default(value='shared') }}").as_deref(), Ok("shared"));
}

#[test]
fn where_no_branch_is_checked_out_it_says_what_to_do() {
    for text in ["{{ git_branch }}", "{{ git_branch | lower }}", "{% if git_branch == 'a' %}a{% endif %}"] {
        assert_eq!(rendered(text), Err(NO_BRANCH.to_owned()), "{text}");
    }
    // The key is given, so that it may not matter.
    let marked = |text: &str| {
        let it = render(text, &outside(), true)?;
        Ok(it.no_branch.map_or(it.text.clone(), |mark| it.text.replace(mark, "BRANCH")))
    };
    assert_eq!(marked("{{ git_branch }}").as_deref(), Ok("BRANCH"));
    assert_eq!(marked("{{ git_branch | replace(from='/', to='-') | lower }}").as_deref(), Ok("BRANCH"));
    assert_eq!(marked("{{ git_branch | default(value='shared') }}").as_deref(), Ok("shared"));
    for text in ["{{ git_branch | length }}", "{% if git_branch == 'a' %}a{% endif %}"] {
        assert_eq!(marked(text), Err(NO_BRANCH.to_owned()), "{text}");
    }
}

#[test]
fn a_mark_in_the_text_is_not_taken_for_the_key() {
    let text = "\u{E000}{{ key }}";
    let rendered = render(text, &outside(), false).unwrap();
    assert_eq!(rendered.text, format!("\u{E000}{}", rendered.mark));
    assert_ne!(rendered.mark, '\u{E000}');
}
