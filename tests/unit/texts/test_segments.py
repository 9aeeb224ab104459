"""Words, characters and sentences end where Unicode says: texts in thirty scripts, cut as UAX 29 cuts them."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.prompt.units import split
from whygen.texts import character_edges, find_all, nfc, sentence_spans, unspaced_scripts, word_edges, word_spans

WORDS = [
    (
        "Latin", "The quick (“brown”) fox can't jump 32.3 feet, right?",
        "The | quick | ( | “ | brown | ” | ) | fox | can't | jump | 32.3 | feet | , | right | ?",
    ),
    ("Latin", "L’été à Genève coûte 1,000 francs.", "L’été | à | Genève | coûte | 1,000 | francs | ."),
    ("Latin", "Größe und Maß: naïve façade", "Größe | und | Maß | : | naïve | façade"),
    ("Latin, decomposed", "cafe\u0301 nin\u0303o u\u0308ber", "cafe\u0301 | nin\u0303o | u\u0308ber"),
    ("Turkish", "İstanbul'da ılık bir gün.", "İstanbul'da | ılık | bir | gün | ."),
    ("Vietnamese", "Tiếng Việt rất đẹp.", "Tiếng | Việt | rất | đẹp | ."),
    ("Cyrillic", "Привет, мир! Ещё раз.", "Привет | , | мир | ! | Ещё | раз | ."),
    ("Cyrillic", "Об'єкт і п’ять слів", "Об'єкт | і | п’ять | слів"),
    ("Greek", "Τι κάνεις; Καλά!", "Τι | κάνεις | ; | Καλά | !"),
    ("Greek", "ἐν ἀρχῇ ἦν ὁ λόγος", "ἐν | ἀρχῇ | ἦν | ὁ | λόγος"),
    ("Arabic", "هل أنتَ بخيرٍ؟ نعم، شكرًا.", "هل | أنتَ | بخيرٍ | ؟ | نعم | ، | شكرًا | ."),
    ("Arabic", "قال: «مرحبا»", "قال | : | « | مرحبا | »"),
    ("Persian", "می\u200cخواهم کتاب\u200cها را بخوانم", "می\u200cخواهم | کتاب\u200cها | را | بخوانم"),
    ("Persian", "نمی\u200cدانم؛ شاید.", "نمی\u200cدانم | ؛ | شاید | ."),
    ("Urdu", "یہ ایک جملہ ہے۔ شکریہ", "یہ | ایک | جملہ | ہے | ۔ | شکریہ"),
    ("Hebrew", "צה״ל ו\"צה\"ל\" ג׳ירפה", "צה״ל | ו\"צה\"ל | \" | ג׳ירפה"),
    ("Hebrew", "שָׁלוֹם עוֹלָם", "שָׁלוֹם | עוֹלָם"),
    ("Devanagari", "हिन्दी में लिखो।", "हिन्दी | में | लिखो | ।"),
    ("Devanagari", "क्षत्रिय, ज्ञान", "क्षत्रिय | , | ज्ञान"),
    ("Bengali", "আমি বাংলায় গান গাই।", "আমি | বাংলায় | গান | গাই | ।"),
    ("Tamil", "நான் தமிழ் பேசுகிறேன்.", "நான் | தமிழ் | பேசுகிறேன் | ."),
    ("Telugu", "తెలుగు భాష", "తెలుగు | భాష"),
    ("Gujarati", "ગુજરાતી ભાષા", "ગુજરાતી | ભાષા"),
    ("Malayalam", "മലയാളം ഭാഷ", "മലയാളം | ഭാഷ"),
    ("Sinhala", "මෙය වාක්\u200dයයකි", "මෙය | වාක්\u200dයයකි"),
    ("Thai", "สวัสดีครับ", "ส | วั | ส | ดี | ค | รั | บ"),
    ("Thai", "น้ำ", "น้ำ"),
    ("Lao", "ພາສາລາວ", "ພ | າ | ສ | າ | ລ | າ | ວ"),
    ("Khmer", "ខ្មែរ។", "ខ្មែ | រ | ។"),
    ("Burmese", "မြန်မာ စာ။", "မြ | န် | မာ | စာ | ။"),
    ("Tibetan", "བོད་སྐད།", "བོད | ་ | སྐད | །"),
    ("Han", "你好，世界。", "你 | 好 | ， | 世 | 界 | 。"),
    ("Han", "我有3个iPhone手机", "我 | 有 | 3 | 个 | iPhone | 手 | 机"),
    ("Japanese", "これはカメラです。", "こ | れ | は | カメラ | で | す | 。"),
    ("Japanese", "東京タワーで会う！", "東 | 京 | タワー | で | 会 | う | ！"),
    ("Hangul", "한국어 문장입니다.", "한국어 | 문장입니다 | ."),
    ("Hangul", "한글", "한글"),
    ("Ethiopic", "ሰላም ለዓለም።", "ሰላም | ለዓለም | ።"),
    ("Armenian", "Ինչպե՞ս ես։", "Ինչպե՞ս | ես | ։"),
    ("Georgian", "გამარჯობა, მსოფლიო", "გამარჯობა | , | მსოფლიო"),
    ("Cherokee", "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ", "ᏣᎳᎩ | ᎦᏬᏂᎯᏍᏗ"),
    ("Mongolian", "ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ᠃", "ᠮᠣᠩᠭᠣᠯ | ᠪᠢᠴᠢᠭ | ᠃"),
    ("Emoji", "👩\u200d👩\u200d👧🇫🇷🇩🇪👍🏽 1️⃣", "👩\u200d👩\u200d👧 | 🇫🇷 | 🇩🇪 | 👍🏽 | 1️⃣"),
    (
        "Emoji", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f flag",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f | flag",
    ),
    ("Invisible", "soft\u00adhyphen wo\u2060rd \ufeffmark", "soft\u00adhyphen | wo\u2060rd | \ufeffmark"),
    ("Invisible", "a\u200bb \u200ec", "a\u200b | b | \u200ec"),
    ("Numbers", "3.14 1,000 10\u202f000 v2.0 x_y U.S.", "3.14 | 1,000 | 10\u202f000 | v2.0 | x_y | U.S | ."),
]  # fmt: skip
"""Script, text, and its words, checked against unicode-segmentation, another table of the same rules. What differs
from it is one character on the screen (Thai sara am, Khmer coeng), or shows nothing (U+FEFF, U+200B)."""


@pytest.mark.parametrize(("script", "text", "words"), WORDS, ids=[f"{row[0]} {i}" for i, row in enumerate(WORDS)])
def test_words_end_as_uax_29_says(script: str, text: str, words: str) -> None:
    assert [text[a:b] for a, b in word_spans(text)] == words.split(" | ")
    assert list(split(text).texts) == words.split(" | ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "well-known state-of-the-art x-1 a - b -c d-",
            "well-known | state-of-the-art | x-1 | a | - | b | - | c | d | -",
        ),
        ("Answer:yes 12:30 https://a.b", "Answer | : | yes | 12 | : | 30 | https | : | / | / | a.b"),
        ("\u200b\u200b", "\u200b\u200b"),
        ("a\u00ad", "a\u00ad"),
        ("Bonjour\u202f!", "Bonjour | !"),
        (" \u0301x", "\u0301 | x"),
    ],
)
def test_what_uax_29_leaves_open_is_cut_as_people_read(text: str, words: str) -> None:
    assert [text[a:b] for a, b in word_spans(text)] == words.split(" | ")


@given(st.text(max_size=60))
def test_words_tile_what_is_visible_and_part_no_character(text: str) -> None:
    spans, characters = word_spans(text), character_edges(text)
    assert all(a < b for a, b in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert all(text[a:b] == text[a:b].strip() for a, b in spans)
    outside = set(range(len(text))) - {place for a, b in spans for place in range(a, b)}
    assert all(text[place].isspace() for place in outside)
    assert word_edges(text) <= characters | {0}


SENTENCES = [
    "यह एक वाक्य है। |यह दूसरा है॥ |क्या?",
    "هل أنت بخير؟ |نعم. |شكرا!",
    "یہ ایک جملہ ہے۔ |یہ دوسرا ہے؟ |ہاں۔",
    "ဒါက စာကြောင်းပါ။ |ဒုတိယပါ။",
    "ሰላም ነው። |እንዴት ነህ፧ |ደህና።",
    "Բարեւ։ |Ինչպե՞ս ես։ |Լավ։",
    "នេះជាប្រយោគ។ |នេះទីពីរ។",
    "Τι κάνεις; |Καλά. |Ο κ. Παπάς ήρθε.",
    "এটি বাক্য। |দ্বিতীয়।",
    "བོད་སྐད། |ཡིག།",
    "这是第一句。|这是第二句！|“你好吗？”|他说。",
    "これは文です。|「元気？」|と言った。|次です！",
    "한국어입니다. |네!",
    "ᠮᠣᠩᠭᠣᠯ᠃ |ᠪᠢᠴᠢᠭ᠃",
    "سلام. |حالت چطوره؟ |خوبم.",
    'He said "Go." |Then he left (slowly.) |Yes.',
    '"Are you sure?" he said. |"Yes." |Then he left.',
    "Er sagte: „Komm!“ |Dann ging er. |»Ja.« |Sie lachte.",
    "Il dit « Bonjour ! » |Puis il partit.",
    "Dr. Smith met Mr. Jones at 5 p.m. in Boston. |He left.",
    "See Fig. 3, e.g. the red one, i.e. this. |It is clear.",
    "The U.S. Government agreed. |We left the U.S. |He did not.",
    "J. R. R. Tolkien and George W. Bush read it. |Good.",
    "I am tall. |So am I. |Use vitamin C. |It helps.",
    "1. First item. |2. Second item. |3. Third.",
    "a) One thing.\n|b) Two things.",
    "Wait... what? |No! |He left… |Then he came.",
    "It costs $3.50. |Visit a.com/b?C=1 now.",
    "Herr Dr. Müller kam am 3. Mai. |Siehe z. B. Abb. 3. |Er ging.",
    "M. Dupont et Mme. Curie sont là. |Je dis non. |Il part.",
    "El Sr. García y la Dra. Ruiz vinieron. |Dije que no. |Luego salió.",
    "Il sig. Rossi è qui. |Ho detto no. |Poi uscì.",
    "Это т.е. тест. |А. С. Пушкин жил на ул. Ленина. |Я сказал нет. |Он ушёл.",
    "To jest np. test. |Prof. Nowak nie.",
    "Nennen Sie mir Obst, z. B. Äpfel, d. h. Sie essen u. a. Birnen v. a. Freitags. |Es gibt Brot u. v. m. |Wir gehen.",
    "Donnez-moi des fruits, p. ex. Des pommes, c.-à-d. Les rouges. |Il est né en 50 av. J.-C. à Rome. |Il est mort.",
    "Это важно, т. е. Москва не спит, т. к. Там шумно. |Он купил хлеб и т. д. |Потом он пошел домой.",
    "Ge mig frukter, t. ex. Äpplen, bl. a. Gravensteiner. |Sedan är det bra.",
    "Geef mij fruit, d. w. z. Appels, o. a. Elstar. |Dat is het niet.",
    "Giv mig frugt, f. eks. Æbler. |Det er ikke nok.",
    "Daj mi owoce, m. in. Jabłka, t. j. Antonówki. |To nie jest dobrze.",
    "Morì nel 44 a. C. a Roma. |Era giovane. |Mangia frutta, p. es. Mele. |Poi non più.",
    "Use fruit, i. e. Apples, e. g. Coxes. |I also like plan B. |It is good.",
    "One.\r\n|Two\n\n|Three",
    "One.\u2029|Two",
]
"""Texts with a bar where a sentence ends."""


@pytest.mark.parametrize("marked", SENTENCES)
def test_sentences_end_where_their_language_ends_them(marked: str) -> None:
    text = marked.replace("|", "")
    assert [text[a:b] for a, b in sentence_spans(text)] == [part.strip() for part in marked.split("|")]


@given(st.text(st.sampled_from("aB é1.!?…\"'“”«»()\n。！है।;Ω\u200c\u0301 "), max_size=40))
def test_sentences_hold_all_that_is_visible_in_order(text: str) -> None:
    spans = sentence_spans(text)
    assert "".join("".join(text[a:b] for a, b in spans).split()) == "".join(text.split())
    assert all(a < b for a, b in spans)


def test_scripts_without_spaces_are_named() -> None:
    assert unspaced_scripts("Tell สวัสดี これは 你好 ខ្មែរ") == ["Thai", "hiragana", "Chinese or kanji", "Khmer"]
    assert unspaced_scripts("Hello, мир, 한국어 カメラ") == []
    (notice,) = split("Sag สวัสดี", "word").notices
    assert notice[0] == "characters-as-words"
    assert "Thai" in notice[1]
    assert not split("สวัสดี", "sentence").notices


@given(st.text(max_size=20), st.sampled_from(["é", "e\u0301", "ñ!", "가", "\u1100\u1161", "a"]), st.text(max_size=20))
def test_a_text_is_found_in_either_form(before: str, wanted: str, after: str) -> None:
    for form in ("NFC", "NFD"):
        text = before + " " + unicodedata.normalize(form, wanted) + " " + after
        found = [text[a:b] for a, b in find_all(text, wanted)]
        assert found
        assert all(nfc(each) == nfc(wanted) for each in found)
