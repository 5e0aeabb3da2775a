//! What comes from a stranger's tokenizer and chat template.

use glassformer_tokens::{ChatTemplate, GgufVocabulary, Message, Tokenizer, TokenizerConfig};

/// Reads a `tokenizer.json`, and uses what can be read.
pub fn read_tokenizer(bytes: &[u8]) {
    let _ = TokenizerConfig::from_json(bytes);
    match Tokenizer::from_json(bytes) {
        Ok(tokenizer) => use_it(&tokenizer),
        Err(error) => one_line(&error.to_string()),
    }
}

/// Takes text for a GGUF file's vocabulary: its model, its pattern, then an entry in each line.
pub fn read_vocabulary(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n').map(str::to_owned);
    let mut vocabulary = GgufVocabulary {
        model: lines.next().unwrap_or_default(),
        pre: lines.next(),
        bos: Some(0),
        add_bos: Some(true),
        ..GgufVocabulary::default()
    };
    for (number, line) in lines.enumerate() {
        if line.contains(' ') {
            vocabulary.merges.push(line);
        } else {
            vocabulary.token_types.push((number % 7) as i32);
            vocabulary.scores.push(-(number as f32));
            vocabulary.tokens.push(line);
        }
    }
    match Tokenizer::from_gguf(&vocabulary) {
        Ok(tokenizer) => use_it(&tokenizer),
        Err(error) => one_line(&error.to_string()),
    }
}

fn use_it(tokenizer: &Tokenizer) {
    for text in [
        "",
        " the <s> fox",
        "Ａé床🎈\u{301}\0\r\n",
        "a<|im_end|>b ##ing ▁1234",
    ] {
        let prompt = tokenizer.encode_prompt(text).map(|encoding| encoding.ids);
        let ids = prompt.unwrap_or_default();
        assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
        let _ = tokenizer.encode_with_specials(text);
        let _ = tokenizer.encode_pair(text, "b");
        let _ = tokenizer.decode(&ids);
        let mut stream = tokenizer.decode_stream();
        for &id in &ids {
            let _ = (
                stream.push(id),
                tokenizer.token_text(id),
                tokenizer.merges_of(id),
            );
        }
        let _ = stream.finish();
    }
    let again = Tokenizer::from_json(tokenizer.to_json().as_bytes());
    assert!(again.is_ok(), "what was written can be read");
}

/// Renders a conversation by a template.
pub fn render_template(bytes: &[u8]) {
    let source = String::from_utf8_lossy(bytes);
    let config = TokenizerConfig {
        bos: Some("<s>".to_owned()),
        ..TokenizerConfig::default()
    };
    let messages = [
        Message::new("system", "Be brief."),
        Message::new("user", "Hello {{ messages }} 床!"),
        Message::new("assistant", "<think>\n</think>Hi"),
    ];
    let rendered = ChatTemplate::new(&source, &config).and_then(|template| {
        let _ = template.render(&[], false);
        template.at(1_767_323_045).render(&messages, true)
    });
    if let Err(error) = rendered {
        one_line(&error.to_string());
    }
}

fn one_line(message: &str) {
    assert!(!message.contains('\n'), "{message}");
}
