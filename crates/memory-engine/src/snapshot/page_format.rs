//! The format of a page: see [`super::page`].

use std::sync::LazyLock;

use memory_core::Language;
use memory_text::ANALYSIS_VERSION;

use super::mentions::labels_of;

/// The version of pages: that of their columns and of what is derived from texts and
/// vectors. A test fails where these change and the format does not.
const VERSION: u64 = 3;

/// A format that no page has.
pub(super) const NO_FORMAT: u64 = 0;

/// Texts of the scripts and languages that libraries divide and stem.
const SAMPLE: [&str; 12] = [
    "The horses were running to the market, weren't they? See INC-90312 at node.js v1.2.3.",
    "Der Müller wohnte seit gestern in den Mühlen der Städte",
    "Les chevaux couraient hier vers les marchés de l'ancienne ville",
    "Los caballos corrían ayer hacia los mercados",
    "Лошади бежали вчера на старые рынки",
    "كانت الخيول تجري إلى الأسواق القديمة",
    "İstanbul'daki atlar pazarlara koşuyordu",
    "上海的猫是研究生命",
    "昨日は古い市場で馬を買いました",
    "민수가 시장에서 말을 샀다",
    "เมื่อวานฉันซื้อม้าที่ตลาดเก่า",
    "ខ្ញុំបានទិញសេះនៅផ្សារចាស់ ຂ້ອຍຊື້ມ້າຢູ່ຕະຫຼາດ ဈေးဟောင်းမှာ မြင်းဝယ်ခဲ့တယ်",
];

/// Labels with a digest and without one, and of some scripts.
const LABELS: [&str; 16] = [
    "horse market",
    "INC-90312",
    "C++",
    "tam_2",
    "Will",
    "will",
    "x",
    "?",
    "",
    "Анна",
    "田",
    "田中",
    "İnci",
    "O'Neil's",
    "one two three four five six seven eight nine ten eleven twelve 13 14 15 16",
    "one two three four five six seven eight nine ten eleven twelve 13 14 15 16 17",
];

/// What the analysis makes of a few texts and labels. Filters rely on labels. It depends on libraries, whose version the
/// program's lock file decides: programs that analyze texts differently do not read each
/// other's pages.
fn analysis_digest() -> u32 {
    static DIGEST: LazyLock<u32> = LazyLock::new(|| {
        let mut stems = ANALYSIS_VERSION.to_string();
        for text in SAMPLE {
            memory_text::for_each_stem(text, None, |stem| {
                stems.push(' ');
                stems.push_str(stem);
            });
        }
        for label in LABELS {
            stems.push('\n');
            let tokens = labels_of(std::iter::once(label)).into_iter();
            stems.extend(tokens.map(|tokens| tokens.join(" ")));
        }
        let [a, b, c, d, ..] = memory_text::word_digest(&stems).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    });
    *DIGEST
}

/// The format of pages: everything that they depend on other than the memories and the
/// embedding space. From the highest bits: the two letters of the language, 0 without
/// one; the version of pages, 16 bits; the digest of the analysis, 32 bits.
pub(super) fn format(language: Option<Language>) -> u64 {
    let code = language.map_or("", Language::code).bytes();
    let code = code.fold(0u64, |code, letter| (code << 8) | u64::from(letter));
    (code << 48) | (VERSION << 32) | u64::from(analysis_digest())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_language_has_a_format_of_its_own() {
        let languages = Language::ALL.into_iter().map(Some).chain([None]);
        let formats: BTreeSet<u64> = languages.map(format).collect();
        assert_eq!(formats.len(), Language::ALL.len() + 1);
        let german = format(Some(Language::German));
        assert_eq!(german, 0x6465_0003_0000_0000 | u64::from(analysis_digest()));
    }
}
