//! Texts to compare vectors on: short and long, of several languages and
//! scripts, and some that no person writes.

pub(crate) fn texts() -> Vec<String> {
    let mut texts: Vec<String> = WRITTEN.iter().map(|text| (*text).to_owned()).collect();
    // Around the window of 256 tokens and beyond it.
    for words in [120, 253, 254, 255, 600] {
        texts.push("mill ".repeat(words));
    }
    // Of every length up to 40 words.
    let words: Vec<&str> = WRITTEN.iter().flat_map(|text| text.split(' ')).collect();
    texts.extend((1..=40).map(|count| words[count..2 * count].join(" ")));
    texts
}

const WRITTEN: &[&str] = &[
    "",
    " ",
    "?",
    "Who owns the mill?",
    "Hey Mel! Good to see you! How have you been?",
    "I went to the support group yesterday and it was so powerful.",
    "Wow, that is cool! What happened there, did you hear any inspiring stories?",
    "The transgender stories were so inspiring! I was so happy and thankful for all the support.",
    "Tam sold me a lame horse at the spring market, and when I asked for my eleven silver back \
     he laughed and said that a horse with three good legs is still three quarters of a horse.",
    "The flood of '42 took the old bridge; since then everyone crosses by the ferry of Aldous \
     Finch, who charges two coppers by day, four by night, and nothing at all if you bring him \
     news of his daughter in Harrow.",
    "call me at +44 20 7946 0018 before 18:30 or mail mira@example.com",
    "fn main() { println!(\"{}\", 6 * 7); }",
    "Die Mühle am Fluß gehört dem Müller, sagt man.",
    "Le moulin n'appartient à personne, hélas !",
    "水車は川のほとりにある。",
    "Мельница стоит у реки.",
    "الطاحونة على النهر",
    "🐎🐎 three legs 🙃",
    "UPPER lower MiXeD café CAFÉ cafe\u{301}",
    "tabs\tand\nnew lines\r\nand \u{a0}other\u{2003}spaces",
    "antidisestablishmentarianism supercalifragilisticexpialidocious",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
     aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "[CLS] [SEP] [PAD] [MASK] ##ing",
];
