//! Templates come with models, and models from anybody.

use std::time::{Duration, Instant};

use glassformer_tokens::{ChatError, ChatTemplate, Message};
use proptest::prelude::*;

use super::{config, render};
use crate::support::golden;

/// Sources that a limit must stop: `MANY` stands for `{% for i in range(60) %}…`.
const ENDLESS: [&str; 33] = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{{ b }}{% endfor %}{% endfor %}",
    "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{{ 'x' * 999999999 }}",
    "{{ ['x'] * 99999999 }}",
    "{{ (['x'] * 99999999) ~ '' }}",
    "{{ ['x'] * 64 * 64 * 64 * 64 }}",
    "{{ 2 ** 999999999 }}",
    "{{ '%999999999d' | format(1) }}",
    "{{ '{:>999999999}'.format(1) }}",
    "{{ 'x' | indent(width=999999999) }}",
    "{{ [1] | tojson(indent=999999999) }}",
    "{{ 'a' | replace('', 'b' * 9999) | replace('b', 'b' * 9999) | replace('b', 'b' * 9999) }}",
    "{{ 'a'.replace('', 'b' * 9999).replace('b', 'b' * 9999).replace('b', 'b' * 9999) }}",
    "{% set ns = namespace(s='ab') %}MANY{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "{% set ns = namespace(s='ab') %}MANY{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "{% set ns = namespace(s='ab') %}MANY{% set ns.s = ns.s.replace('a', 'aa') %}{% endfor %}",
    "{% set ns = namespace(s='ab') %}MANY{% set ns.s = ns.s | replace('a', 'aa') %}{% endfor %}",
    "{% set ns = namespace(s='ab') %}MANY{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}{% endfor %}",
    "{% set ns = namespace(s='ab') %}MANY{% set ns.s = [ns.s, ns.s] | join %}{% endfor %}",
    "{% set ns = namespace(a=['x']) %}MANY{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}",
    "{% set ns = namespace(a=['x']) %}MANY{% set ns.a = (ns.a, ns.a) %}{% endfor %}{{ ns.a ~ '' }}",
    "{% set ns = namespace(a=['x']) %}MANY{% set ns.a = ns.a, ns.a %}{% endfor %}{{ ns.a | tojson }}",
    "{% set ns = namespace(a=['x']) %}MANY{% set ns.a = ns.a + ns.a %}{% endfor %}{{ ns.a == [] }}",
    "{% set ns = namespace(a=['x']) %}MANY{% set ns.a = {'k': ns.a, 'l': ns.a} %}{% endfor %}{{ {ns.a: 1} }}",
    "{% set ns = namespace(a=['x']) %}MANY{% set ns.a = dict(k=ns.a, l=ns.a) %}{% endfor %}{{ ns.a | upper }}",
    "{% macro f(a, n) %}{% if n %}{{ f([a, a], n - 1) }}{% else %}{{ a }}{% endif %}{% endmacro %}{{ f([1], 60) }}",
    "{% macro f(a, n) %}{% if n %}{{ f(a=a + a, n=n - 1) }}{% else %}{{ a }}{% endif %}{% endmacro %}{{ f([1], 60) }}",
    "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
    "{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns ~ '' }}",
    "{% set ns = namespace() %}{% set ns.x = namespace(y=ns) %}{{ ns == ns.x }}",
    "{% set ns = namespace() %}{% set b = dict(y=ns) %}{% set ns.x = b %}{{ ns ~ '' }}",
    "{% set a = ['x'] %}{% with a = [a, a], b = [a, a] %}{% with a = [a] * 64, b = [b] * 64 %}{{ a * 64 * 64 }}{% endwith %}{% endwith %}",
];

#[test]
fn what_does_not_end_is_stopped() {
    for source in ENDLESS {
        let source = source.replace("MANY", "{% for i in range(60) %}");
        let start = Instant::now();
        let outcome = render(&source);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(9), "{took:?}: {source}");
        let message = outcome.expect_err(&source).to_string();
        assert!(!message.contains('\n') && message.len() < 400, "{message}");
    }
}

#[test]
fn what_is_put_together_stays_what_it_is() {
    for (source, text) in [
        (
            "{{ [1, [2]][1][0] }} {{ {'a': [3]}.a[0] }} {{ (4, 5)[1] }}",
            "2 3 5",
        ),
        (
            "{% set a = [1] + [2] %}{{ a | length }}{% set b = 1, 2 %}{{ b[1] }}",
            "22",
        ),
        (
            "{% set a, b = 1, 2 %}{% set ns = namespace(x=[a]) %}{% set ns.x = ns.x + [b] %}{{ ns.x }}",
            "[1, 2]",
        ),
        (
            "{% for k, v in {'a': (1, 2)}.items() if v is not in [[]] %}{{ k }}{{ v }}{% endfor %}",
            "a(1, 2)",
        ),
        (
            "{% with a = [1], b = 'x' ~ 'y' %}{{ a }}{{ b }}{% endwith %}",
            "[1]xy",
        ),
        (
            "{% macro f(a, b=[7]) %}{{ a }}{{ b }}{% endmacro %}{{ f([1] + [2]) }}{{ f(b='x' * 2, a=3) }}",
            "[1, 2][7]3xx",
        ),
        (
            "{{ '=' * 3 }}{{ 2 * 3 }}{{ messages | length * 2 }}",
            "===62",
        ),
        (
            "{{ 'é'.join(['床', '🎈'] + ['x']) }}{%- set a = ['é'] -%}\n{{ a[0] }}",
            "床é🎈éxé",
        ),
        (
            "{% generation %}{{ [1] }}{% endgeneration %}{{ {'generation': 2} }}",
            "[1]{'generation': 2}",
        ),
        ("{# [ #}{% raw %}{{ [ }}{% endraw %}{{ [] }}[", "{{ [ }}[]["),
        (
            "{{ ['a', 'b'] | map('upper') | join(', ') }}{{ [3, 1] | sort | first }}",
            "A, B1",
        ),
    ] {
        assert_eq!(render(source).as_deref(), Ok(text), "{source}");
    }
}

#[test]
fn a_long_conversation_is_no_attack() {
    let source = String::from_utf8(golden("chat/qwen3.jinja")).unwrap();
    let template = ChatTemplate::new(&source, &config()).unwrap();
    let turn = |number: usize| {
        let role = if number.is_multiple_of(2) {
            "user"
        } else {
            "assistant"
        };
        Message::new(role, "so it goes ".repeat(400))
    };
    let messages: Vec<Message> = (0..2_001).map(turn).collect();
    let text = template.render(&messages, true).unwrap();
    assert!(text.len() > 8_000_000);
    let long = [Message::new("user", "x".repeat(20_000_000))];
    assert!(template.render(&long, true).unwrap().len() > 20_000_000);
}

#[test]
fn what_is_far_too_long_is_no_template() {
    let error = ChatTemplate::new(&"x".repeat(2 << 20), &config()).unwrap_err();
    assert!(matches!(error, ChatError::TooLong { .. }), "{error}");
}

#[test]
fn deep_nesting_ends_no_thread() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{'a':", "}"),
        ("-", ""),
        ("not ", ""),
        ("a.", ""),
    ] {
        let source = format!("{{{{ {}1{} }}}}", open.repeat(50_000), close.repeat(50_000));
        let _ = render(&source);
    }
    for (open, close) in [
        ("{% if 1 %}", "{% endif %}"),
        ("{% for x in [1] %}", "{% endfor %}"),
    ] {
        let _ = render(&format!("{}{}", open.repeat(9_000), close.repeat(9_000)));
    }
    let _ = render(&"{{ 1 + ".repeat(9_000));
    let _ = render(&format!("{{{{ {} }}}}", vec!["1"; 50_000].join(" + ")));
    let _ = render(&format!(
        "{{{{ {} }}}}",
        vec!["x"; 50_000].join(" | trim | ")
    ));
    let _ = render(&format!(
        "{{{{ {} }}}}",
        vec!["1"; 50_000].join(" if x else ")
    ));
}

/// The pieces of which templates are made.
fn piece() -> impl Strategy<Value = String> {
    let words = vec![
        "{% ",
        " %}",
        "{{ ",
        " }}",
        "{# ",
        " #}",
        "{%- ",
        " -%}",
        "if ",
        "else",
        "endif",
        "for ",
        " in ",
        "endfor",
        "set ",
        "messages",
        "message",
        ".content",
        "['role']",
        " = ",
        " == ",
        "[::-1]",
        "[1:]",
        "[0]",
        "loop.index0",
        "loop.last",
        "namespace(a=1)",
        "ns.a",
        "macro f(x)",
        "endmacro",
        "f(1)",
        " | trim",
        " | tojson",
        " | join",
        " | length",
        " | list",
        " | sort",
        " | map(attribute='role')",
        " is defined",
        " is string",
        " not ",
        " and ",
        "range(9)",
        "'a'",
        "\"b\"",
        "1",
        "-",
        " ~ ",
        " + ",
        " * ",
        " % ",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ":",
        ",",
        ".strip()",
        ".split('a')",
        "raise_exception('x')",
        "generation",
        "endgeneration",
        "\n",
        "  ",
        "bos_token",
        "none",
        "true",
        "é",
        "🎈",
        "\\",
    ];
    prop_oneof![
        9 => prop::sample::select(words).prop_map(str::to_owned),
        1 => "\\PC{0,2}",
    ]
}

proptest! {
    #[test]
    fn any_template_is_refused_or_rendered(pieces in prop::collection::vec(piece(), 0..30)) {
        let _ = render(&pieces.concat());
    }

    #[test]
    fn any_expression_is_refused_or_rendered(pieces in prop::collection::vec(piece(), 0..9)) {
        let _ = render(&format!("{{{{ {} }}}}", pieces.concat()));
    }

    #[test]
    fn a_damaged_template_is_refused_or_rendered(
        name in prop::sample::select(vec!["qwen3", "llama31", "constructs", "generation"]),
        at in any::<prop::sample::Index>(),
        length in 0usize..9,
        insert in piece(),
    ) {
        let source = String::from_utf8(golden(&format!("chat/{name}.jinja"))).unwrap();
        let letters: Vec<char> = source.chars().collect();
        let at = at.index(letters.len());
        let before: String = letters[..at].iter().collect();
        let after: String = letters[(at + length).min(letters.len())..].iter().collect();
        let _ = render(&(before + &insert + &after));
    }
}
