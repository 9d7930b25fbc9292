//! Identifiers whole, and words and numbers that are written in several ways: versions,
//! dates, addresses, numbers of tickets and phones, `e-mail` and `email`, `1,000` and
//! `1000`.

mod joined;
mod numbers;
mod parts;
mod signed;
mod signs;

use signs::Signs;

use crate::forms::Forms;

/// Joins the parts of a compound. Not alphanumeric, so that no token equals a
/// compound, and not ASCII, so that an index that separates at ASCII punctuation
/// keeps the compound whole.
const COMPOUND_JOINER: char = '·';
const JOINER: &str = "·";

/// What `#` and `++` become in a word: not ASCII, for the same reason as the joiner.
pub(crate) const SHARP: &str = "♯";
pub(crate) const PLUS_PLUS: &str = "⁺⁺";

/// Calls `each` with every compound of a normalized text: an identifier, a version, a
/// date or a hyphenated word, whose parts are tokens as well. `v1.2.3` and `v1.3.2`
/// have the same parts and are different compounds. Names such as `C#`, `C++` and
/// `.NET`, emoji, and phone and other numbers, however they are grouped, are compounds,
/// too; and what is written with and without a sign, as it is without: `e-mail`.
pub(crate) fn for_each_compound(text: &str, forms: &Forms, each: &mut impl FnMut(&str)) {
    // Most texts have none of them.
    let signs = Signs::of(text);
    if signs.has_separated {
        joined::for_each(text, forms, each);
    }
    if signs.has_apostrophes {
        joined::for_each_over_apostrophes(text, forms, each);
    }
    if signs.has_names {
        signed::for_each(text, each);
    }
    if signs.has_groups {
        numbers::for_each_grouped(text, each);
    }
    if signs.digits >= numbers::MIN_PHONE_DIGITS {
        numbers::for_each_phone(text, each);
    }
    if signs.has_parts {
        parts::for_each(text, forms, each);
    }
    if signs.has_emoji {
        signed::for_each_emoji(text, each);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compounds(text: &str) -> Vec<String> {
        let mut compounds = Vec::new();
        let text = crate::fold::normalize(text);
        for_each_compound(&text, &Forms::without_language(), &mut |compound: &str| {
            compounds.push(compound.to_owned())
        });
        compounds
    }

    #[test]
    fn compounds_keep_the_order_of_their_parts() {
        for (text, expected) in [
            ("release v1.2.3.", vec!["v1·2·3", "1·2·3"]),
            (
                "release V1.3.2, not 1.2.3",
                vec!["v1·3·2", "1·3·2", "1·2·3"],
            ),
            ("on 2026-03-01 at 09:30", vec!["2026·3·1", "9·30"]),
            ("1.05 and 1.5", vec!["1·05", "1·5"]),
            (
                "from 09:05 to 10:05, or 10.5",
                vec!["9·05", "10·05", "10·5"],
            ),
            (
                "2026-03-01T09:30Z",
                vec!["2026·03·01t09·30z", "2026·3·1", "30", "z"],
            ),
            ("snake_case", vec!["snake·case", "snakecas"]),
            (
                "see https://a.example/b",
                vec!["a·example·b", "a·example", "aexampl"],
            ),
            (
                "mail a@b.example",
                vec!["a·b·example", "b·example", "bexampl"],
            ),
            ("R&D", vec!["r·d"]),
            ("wait... no -5 - 6 x", vec![]),
            ("ВЕРСИЯ-2 水-3", vec!["версия·2", "версия2"]),
            ("版本v1.2.3发布", vec!["v1·2·3", "1·2·3"]),
            ("Ticket INC\u{2011}90312", vec!["inc·90312", "inc90312"]),
            ("2001:0DB8::1 up", vec!["2001·db8··1"]),
            ("::ffff:1.2.3.4", vec!["··ffff·1·2·3·4"]),
            ("[fe80:0:0:0:0:0:0:1]:80", vec!["fe80··1"]),
            ("10.0.0.1:8080", vec!["10·0·0·1·8080", "10·0·0·1"]),
        ] {
            assert_eq!(compounds(text), expected, "{text}");
        }
    }

    #[test]
    fn words_are_joined_that_are_written_apart_and_together() {
        for (text, expected) in [
            ("e-mails", vec!["e·mails", "email"]),
            ("U.S.A.", vec!["u·s·a", "usa"]),
            ("at 5 a.m. it", vec!["a·m"]),
            ("COVID-19", vec!["covid·19", "covid19"]),
            ("18-year", vec!["18·year"]),
            ("O’Brien's", vec!["obrien"]),
            ("isn't, l'homme, she'd've", vec![]),
            ("getUserName", vec!["get", "user", "name"]),
            ("parseHTTPResponse", vec!["pars", "http", "respons"]),
            ("iPhone, McGee, JavaScript", vec![]),
            ("10kg on the 3rd", vec!["10", "kg", "3"]),
            ("INC90312", vec!["inc", "90312"]),
            ("iPhone15", vec!["iphon", "15"]),
            ("AB-12-CD", vec!["ab·12·cd", "ab12cd"]),
            ("mp3 v2", vec![]),
            ("2026년에", vec!["2026"]),
        ] {
            assert_eq!(compounds(text), expected, "{text}");
        }
    }

    #[test]
    fn names_with_signs_and_emoji_are_compounds() {
        for (text, expected) in [
            ("Notepad++ or J#", vec!["notepad⁺⁺"]),
            ("the .NET runtime", vec!["·net"]),
            (".NET-based", vec!["net·based", "netbas", "·net"]),
            ("issue #5 + 3", vec![]),
            ("👩🏽‍💻 🇩🇪 ❤️ 👍🏿", vec!["👩", "💻", "🇩🇪", "❤", "👍"]),
            ("⏰ at 7, ⌚️ ⏸ 🆘!", vec!["⏰", "⌚", "⏸", "🆘"]),
            ("🃏🀄⬛⭕", vec!["🃏", "🀄", "⬛", "⭕"]),
            ("a → b ™ ▶ 5 ²", vec![]),
        ] {
            assert_eq!(compounds(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_found_however_they_are_grouped() {
        for (text, expected) in [
            (
                "call +49 170 1234567 now",
                vec!["491701234567", "·701234567"],
            ),
            (
                "+49 (0)170/123 45 67",
                vec!["170·123", "491701234567", "·701234567"],
            ),
            ("01701234567", vec!["·701234567"]),
            ("2024-05-01 10:30:15", vec!["2024·5·1", "10·30·15"]),
            ("(030) 123 4567", vec!["0301234567", "·301234567"]),
            (
                "555-123-4567",
                vec!["555·123·4567", "5551234567", "·551234567"],
            ),
            (
                "555.123.4567",
                vec!["555·123·4567", "5551234567", "·551234567"],
            ),
            ("192.168.10.254 is up", vec!["192·168·10·254"]),
            ("1,000", vec!["1000"]),
            ("1 000 000", vec!["1000000"]),
            ("1'000", vec!["1000"]),
            ("1.000,50", vec!["1·000", "1000", "1000·50"]),
            ("1,234.5", vec!["234·5", "1234", "1234·5"]),
            ("10,00,000", vec!["1000000"]),
            ("3,5", vec!["3·5"]),
            ("1, 2, 3 or 1,2,3", vec![]),
            ("١٬٠٠٠", vec!["1000"]),
        ] {
            assert_eq!(compounds(text), expected, "{text}");
        }
    }
}
