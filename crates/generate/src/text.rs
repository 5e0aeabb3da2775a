//! Ids to streamed text, up to a stop string.

use glassformer_tokens::{DecodeStream, Tokenizer};

/// Text as it becomes certain: never half a character, never the beginning of a stop string.
pub struct TextStream {
    decoder: DecodeStream,
    stops: Vec<String>,
    held: String,
    stopped: bool,
}

impl TextStream {
    /// A stream that ends before the first occurrence of any of `stops` (empty ones are ignored).
    pub fn new(tokenizer: &Tokenizer, stops: &[String]) -> Self {
        Self::after(tokenizer, &[], stops)
    }

    /// The same for what goes on after the ids `shown`, whose text stands already: the space between two words is not lost.
    pub fn after(tokenizer: &Tokenizer, shown: &[u32], stops: &[String]) -> Self {
        let stops = stops
            .iter()
            .filter(|stop| !stop.is_empty())
            .cloned()
            .collect();
        Self {
            decoder: tokenizer.decode_stream_after(shown),
            stops,
            held: String::new(),
            stopped: false,
        }
    }

    /// Adds a token; gives the text that is certain now.
    pub fn push(&mut self, id: u32) -> String {
        if let Some(text) = self.decoder.push(id) {
            self.held.push_str(&text);
        }
        self.release(false)
    }

    /// Whether a stop string has come.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// The rest, when no more tokens come.
    pub fn finish(&mut self) -> String {
        if let Some(text) = self.decoder.finish() {
            self.held.push_str(&text);
        }
        self.release(true)
    }

    fn release(&mut self, last: bool) -> String {
        if self.stopped {
            return String::new();
        }
        if let Some(at) = self
            .stops
            .iter()
            .filter_map(|stop| self.held.find(stop))
            .min()
        {
            self.stopped = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let keep = if last {
            0
        } else {
            self.stops
                .iter()
                .map(|stop| overlap(&self.held, stop))
                .max()
                .unwrap_or(0)
        };
        let rest = self.held.split_off(self.held.len() - keep);
        std::mem::replace(&mut self.held, rest)
    }
}

/// Bytes at the end of `text` that are the beginning of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    (1..stop.len())
        .rev()
        .filter(|&n| stop.is_char_boundary(n))
        .find(|&n| text.ends_with(&stop[..n]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::TextStream;
    use glassformer_tokens::Tokenizer;

    fn stream(text: &str, stops: &[&str]) -> (Vec<String>, String) {
        let tokenizer = Tokenizer::characters(std::iter::once(text.to_owned())).unwrap();
        let stops: Vec<String> = stops.iter().map(|&s| s.to_owned()).collect();
        let mut stream = TextStream::new(&tokenizer, &stops);
        let mut parts = Vec::new();
        for &id in &tokenizer.encode(text).unwrap().ids {
            parts.push(stream.push(id));
            if stream.stopped() {
                break;
            }
        }
        let rest = stream.finish();
        (parts, rest)
    }

    #[test]
    fn ends_before_the_stop_string() {
        let (parts, rest) = stream("one. two END three", &["END"]);
        assert_eq!(parts.concat() + &rest, "one. two ");
    }

    #[test]
    fn gives_back_what_only_looked_like_a_stop() {
        let (parts, rest) = stream("an ENEMY at the EN", &["END", ""]);
        assert_eq!(parts.concat() + &rest, "an ENEMY at the EN");
    }

    #[test]
    fn streams_at_once_without_stops() {
        let (parts, _) = stream("床前明月光", &[]);
        assert_eq!(parts, ["床", "前", "明", "月", "光"]);
    }
}
