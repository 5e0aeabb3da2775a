use glassformer_tokens::{ChatError, ChatTemplate, Message, TokenizerConfig};

use super::{config, render};

fn message(source: &str) -> String {
    let message = render(source).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn what_is_not_understood_is_named_with_its_line() {
    for (source, line, word) in [
        ("a\nb {% if %}", 2, "unexpected"),
        ("\n\n{% for x in y %}", 3, "end"),
        ("{% strange %}", 1, "strange"),
        ("{{ 'open", 1, "end"),
        ("x\n{% include 'other' %}", 2, "include"),
    ] {
        let message = message(source);
        assert!(message.contains(&format!("line {line}:")), "{message}");
        assert!(message.contains(word), "{message}");
        assert!(message.starts_with("unusable chat template"), "{message}");
    }
}

#[test]
fn what_cannot_be_done_is_named_with_its_line() {
    for (source, line, word) in [
        ("\n{{ unknown_function() }}", 2, "unknown_function"),
        ("{{ 'a' | unknown_filter }}", 1, "unknown_filter"),
        ("{{ 'a' is unknown_test }}", 1, "unknown_test"),
        ("{{ 'a'.unknown_method() }}", 1, "unknown_method"),
        ("a\n\n{{ missing.field }}", 3, "undefined"),
        ("{{ 'a' + 1 }}", 1, "unsupported"),
        ("{{ strftime_now('%d') }}", 1, "strftime_now"),
    ] {
        let message = message(source);
        assert!(message.contains(&format!("line {line}:")), "{message}");
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_template_may_refuse_in_its_own_words() {
    let error = render("{{ raise_exception('no\nsystem message') }}").unwrap_err();
    assert_eq!(error, ChatError::Refused("no system message".into()));
    let inside = "{% macro check() %}{{ raise_exception('deep') }}{% endmacro %}{{ check() }}";
    assert_eq!(
        render(inside).unwrap_err(),
        ChatError::Refused("deep".into())
    );
}

#[test]
fn the_clock_is_the_callers() {
    let source = "{{ strftime_now('%Y-%m-%d %H:%M:%S %A %B %j %-d %%') }}";
    let template = ChatTemplate::new(source, &config())
        .unwrap()
        .at(1_767_323_045);
    let text = template.render(&[], false).unwrap();
    assert_eq!(text, "2026-01-02 03:04:05 Friday January 002 2 %");
    for seconds in [i64::MIN, -1, i64::MAX] {
        let _ = template.clone().at(seconds).render(&[], false);
    }
    for format in ["%", "%Q", "%é", "%999999999d"] {
        let source = format!("{{{{ strftime_now('{format}') }}}}");
        let template = ChatTemplate::new(&source, &config()).unwrap().at(0);
        let _ = template.render(&[], false);
    }
}

#[test]
fn a_variable_that_is_no_json_is_named() {
    let template = ChatTemplate::new("{{ x }}", &config()).unwrap();
    let error = template.clone().with_variable("x", "{").unwrap_err();
    assert!(error.to_string().contains("\"x\""), "{error}");
    let template = template.with_variable("x", "[1, \"two\"]").unwrap();
    assert_eq!(template.render(&[], false).unwrap(), "[1, 'two']");
}

#[test]
fn a_template_needs_no_special_tokens() {
    let none = TokenizerConfig::default();
    let template = ChatTemplate::new("{{ bos_token }}{{ messages[0].content }}", &none).unwrap();
    let text = template.render(&[Message::new("user", "a")], true).unwrap();
    assert_eq!(text, "a");
}
