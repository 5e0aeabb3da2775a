//! What resvg reads otherwise than browsers do, written so that it reads the same.
//!
//! - Weights are hundreds to it; finer ones are a variable font's axis.
//! - Of `central` each font has its own idea; the page's fonts agree on theirs.
//! - A text with one letter that its font lacks is written in another font as a whole; browsers change the font for that
//!   letter. So runs of such letters name their font here.

use std::borrow::Cow;

/// How far the middle of the page's letters lies above the baseline, in em: (ascent − descent) / 2 of Inter, and of
/// JetBrains Mono but for a hundredth.
const MIDDLE: &str = "dy=\"0.3635em\"";
const CENTRAL: &str = "dominant-baseline=\"central\"";
/// The font of texts that name none.
const DOCUMENT: &str = "Inter Variable";
const WEIGHT: &str = "font-weight=\"";

/// `stand_in` names the font for a letter that one of the page's fonts lacks.
pub(crate) fn adapt(svg: &str, stand_in: impl Fn(&str, char) -> Option<String>) -> String {
    let mut out = String::with_capacity(svg.len() + svg.len() / 4);
    let mut rest = svg;
    while let Some(at) = rest.find("<text ") {
        let Some((start, end)) = rest[at..].find('>').and_then(|open| {
            let start = at + open + 1;
            Some((start, start + rest[start..].find("</text>")?))
        }) else {
            break;
        };
        out.push_str(&rest[..at]);
        out.push_str(&tag(&rest[at..start]));
        let font = font_of(&rest[at..start]);
        letters(&rest[start..end], |letter| stand_in(font, letter), &mut out);
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// The tag with its weight in hundreds, and as an axis.
fn tag(tag: &str) -> Cow<'_, str> {
    let tag = if tag.contains(CENTRAL) {
        Cow::Owned(tag.replace(CENTRAL, MIDDLE))
    } else {
        Cow::Borrowed(tag)
    };
    let Some((before, after)) = tag.split_once(WEIGHT) else {
        return tag;
    };
    let Some((weight, after)) = after.split_once('"') else {
        return tag;
    };
    let hundreds = weight.parse::<u32>().map_or(400, |w| (w + 50) / 100 * 100);
    let axis = format!("style=\"font-variation-settings:'wght' {weight}\"");
    Cow::Owned(format!("{before}{WEIGHT}{hundreds}\" {axis}{after}"))
}

/// The page's font of a text: the first of its family's names, without a family the document's.
fn font_of(tag: &str) -> &str {
    let names = tag
        .split_once("font-family=\"")
        .and_then(|(_, rest)| rest.split_once('"'));
    let first = names.and_then(|(names, _)| names.split(',').next());
    first.map_or(DOCUMENT, |name| name.trim_matches('\''))
}

fn letters(text: &str, stand_in: impl Fn(char) -> Option<String>, out: &mut String) {
    let mut font: Option<String> = None;
    for letter in text.chars() {
        let own = stand_in(letter);
        if own != font {
            if font.is_some() {
                out.push_str("</tspan>");
            }
            if let Some(name) = &own {
                out.push_str(&format!("<tspan font-family=\"'{name}'\">"));
            }
            font = own;
        }
        out.push(letter);
    }
    if font.is_some() {
        out.push_str("</tspan>");
    }
}

#[cfg(test)]
mod tests {
    use super::adapt;

    fn adapted(svg: &str) -> String {
        adapt(svg, |font, letter| {
            (font == "Inter Variable" && !letter.is_ascii()).then(|| "Han".to_owned())
        })
    }

    #[test]
    fn a_weight_becomes_a_hundred_and_an_axis() {
        assert_eq!(
            adapted("<g><text font-weight=\"680\" x=\"1\">a</text></g>"),
            "<g><text font-weight=\"700\" style=\"font-variation-settings:'wght' 680\" x=\"1\">a</text></g>"
        );
        assert_eq!(
            adapted("<rect font-weight=\"680\"/>"),
            "<rect font-weight=\"680\"/>"
        );
    }

    #[test]
    fn letters_that_are_lacking_name_their_font() {
        assert_eq!(
            adapted(
                "<text dominant-baseline=\"central\">softmax 得分 &lt; 1</text><text x=\"1\">注意</text>"
            ),
            "<text dy=\"0.3635em\">softmax <tspan font-family=\"'Han'\">得分</tspan> &lt; 1</text>\
             <text x=\"1\"><tspan font-family=\"'Han'\">注意</tspan></text>"
        );
    }

    #[test]
    fn each_font_lacks_its_own_letters() {
        let mono = "<text font-family=\"'JetBrains Mono Variable', Menlo\">√</text>";
        assert_eq!(adapted(mono), mono);
    }

    #[test]
    fn what_is_no_text_stays() {
        let broken = "<svg><text x=\"1\"";
        assert_eq!(adapted(broken), broken);
    }
}
