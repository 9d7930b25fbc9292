//! Names that begin or end with signs, and emoji.

use super::{COMPOUND_JOINER, PLUS_PLUS, SHARP};
use crate::fold::{CharClass, class};

/// Maximum number of letters of a name that ends with signs, such as `Notepad++`.
const MAX_SIGNED: usize = 12;

/// Words that end with `#` or `++`, and those that begin with a point. With a single
/// letter, such as `C#`, they are tokens.
pub(super) fn for_each(text: &str, each: &mut impl FnMut(&str)) {
    let mut compound = String::new();
    let is_outside =
        |c: char| c.is_whitespace() || !c.is_ascii() || matches!(c, ',' | '(' | ')' | '"' | '/');
    for run in text.split(is_outside) {
        let run = run.trim_end_matches(['.', '?', '!', ':', ';', '\'']);
        let name = run.trim_end_matches(['#', '+']);
        let (name, sign) = match &run[name.len()..] {
            "#" => (name, SHARP),
            "++" => (name, PLUS_PLUS),
            "" => match name.strip_prefix('.') {
                // `.NET-based`
                Some(name) => (name.split(['-', '\'']).next().unwrap_or(name), ""),
                None => continue,
            },
            _ => continue,
        };
        let is_letter = |byte: u8| byte.is_ascii_alphabetic();
        if !(2..=MAX_SIGNED).contains(&name.len()) || !name.bytes().all(is_letter) {
            continue;
        }
        if sign.is_empty() {
            compound.push(COMPOUND_JOINER);
        }
        compound.extend(name.chars().map(|c| c.to_ascii_lowercase()));
        compound.push_str(sign);
        each(&compound);
        compound.clear();
    }
}

/// Emoji and pictographs, without the color of their skin and the parts that say no more
/// than a gender; of a sequence, each; of the two letters of a flag, both.
pub(super) fn for_each_emoji(text: &str, each: &mut impl FnMut(&str)) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1f1e6}'..='\u{1f1ff}' => {
                if let Some(second) = chars.next_if(|c| matches!(c, '\u{1f1e6}'..='\u{1f1ff}')) {
                    each(&String::from_iter([c, second]));
                }
            }
            '\u{2640}' | '\u{2642}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{1f9b0}'..='\u{1f9b3}' => {}
            // Letters and numbers in circles and squares, such as 🅱 and ❶, are words already.
            _ if is_emoji(c) && class(c) == CharClass::Separator => {
                each(c.encode_utf8(&mut [0; 4]));
            }
            _ => {}
        }
    }
}

/// Whether a character alone is an emoji or a pictograph: those of the property Emoji (Unicode
/// Technical Standard 51), of which some keyboards write every one, and the blocks around them.
/// Arrows, geometric shapes and signs that are mostly used as text, such as → and ™, are none.
fn is_emoji(c: char) -> bool {
    matches!(c,
        // Watches, keyboards and the keys of players.
        '\u{231a}'..='\u{231b}' | '\u{2328}' | '\u{23cf}' | '\u{23e9}'..='\u{23f3}'
        | '\u{23f8}'..='\u{23fa}'
        | '\u{2600}'..='\u{27bf}'
        // Large squares, stars and circles.
        | '\u{2b1b}'..='\u{2b1c}' | '\u{2b50}' | '\u{2b55}'
        // A tile, a card and words in squares. Single letters in squares are letters (Unicode
        // property Alphabetic), and ideographs in squares are read as ideographs.
        | '\u{1f004}' | '\u{1f0cf}' | '\u{1f18e}' | '\u{1f191}'..='\u{1f19a}'
        | '\u{1f300}'..='\u{1faff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emoji_has_one_term() {
        for c in ('\0'..=char::MAX).filter(|c| is_emoji(*c)) {
            let stems = crate::stems(c.encode_utf8(&mut [0; 4]), None);
            // The color of a skin, a gender and half a flag have none.
            assert!(stems.len() <= 1, "{c}: {stems:?}");
        }
        for text in ["🅰", "🅱️", "🅾", "🅿", "❶", "🆎", "🆘", "⏰"] {
            assert_eq!(crate::stems(text, None).len(), 1, "{text}");
        }
    }
}
