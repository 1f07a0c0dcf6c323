"""Makes strings that tokenizers get wrong: by hand, and by seeded random mixing of the same kinds."""

import random
import unicodedata

CODE = [
    "fn main() {\n    println!(\"{}\", 1 + 2);\n}\n",
    "def f(x):\n\treturn x**2 if x else None  # done\n\n\nclass A: pass\n",
    "for (int i = 0; i < 10; ++i) { a[i] += b->c; }\r\n",
    "SELECT * FROM t WHERE id>=10 AND name LIKE '%x%';",
    "<html><body class=\"a b\">&nbsp;</body></html>",
    "{\"key\": [1, 2.5e-10, null, true], \"k2\": {}}",
    "x=[1,2,3];y={'a':1,'b':2};print(x[-1],y['a'])",
    "\\begin{align}\n  e^{i\\pi} + 1 &= 0 \\\\\n\\end{align}",
    "git commit -m 'fix: don''t' && ./run.sh --n=3 2>&1 | tee out.log",
    "https://example.org/a/b?c=d&e=%20#frag user@example.org",
    "camelCaseName snake_case_name SCREAMING_CASE kebab-case v1.2.3-rc4",
    "if(a&&b||!c){d<<=2;e>>>=1;f??=g?.h}",
    "#!/usr/bin/env bash\nset -euo pipefail\n",
    "0x1F 0b1010 0o17 1_000_000 1e9 .5 5.",
    "```rust\nlet x = 1;\n```",
    "|a|b|\n|-|-|\n|1|2|",
    "a\tb\t\tc\t\t\td",
    "    four\n        eight\n\ttab\n  \t mixed",
    "->=>==!=<=>=:::;;,,..//**",
    "\"'`´‘’“”«»‹›„‚",
]

WRITING = [
    "你好，世界！今天天气很好。",
    "中文和English混合2024年12月31日",
    "日本語のテキストとカタカナ、ひらがな。",
    "한국어 문장입니다. 띄어쓰기도 있어요.",
    "مرحبا بالعالم، كيف حالك؟",
    "السَّلَامُ عَلَيْكُمْ ١٢٣٤",
    "नमस्ते दुनिया, आप कैसे हैं? १२३",
    "สวัสดีชาวโลก ๑๒๓",
    "Привет, мир! Как дела?",
    "Γειά σου Κόσμε",
    "שלום עולם",
    "ქართული ენა და հայերեն",
    "Việt Nam, tiếng Việt có dấu",
    "Ünïcödé façade naïve Straße ﬁne ﬂow",
    "İstanbul ıIiİ ǅ ǈ ſ K Å",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙𝟚𝟛 𝐀𝐁",
    "𐐀𐐁 𠀀𠀁𪚥",
    "ᚠᛇᚻ ⠓⠑⠇⠇⠕ ⵜⵉⴼⵉⵏⴰⵖ",
    "བོད་སྐད་ ភាសាខ្មែរ မြန်မာဘာသာ",
    "ꙮ ꜰ ʰ ˢ ₐ ⁿ ª º",
]

EMOJI = [
    "😀😁😂",
    "👩‍👩‍👧‍👦 👨🏽‍💻 🏳️‍🌈",
    "🇫🇷🇯🇵🇺🇸",
    "1️⃣2️⃣ #️⃣",
    "❤️ ❤ ☺️ ☺",
    "text😀text 😀 text",
    "🧑🏿‍🚀🚀✨!!!",
    "👍🏻👍🏼👍🏽👍🏾👍🏿",
    "\U0001fae0\u200d\ufe0f\u20e3",
    "©®™ ℃ № ½",
]

DIGITS = [
    "0", "7", "42", "123", "1234", "12345", "123456", "1234567", "1234567890123456789012345678901234567890",
    "3.14159", "1,234,567.89", "2026-11-21T22:55:51Z", "+1 (555) 010-9999", "a1b22c333d4444", "1a 2b 3c",
    "١٢٣٤٥٦٧٨٩٠", "۱۲۳۴۵۶", "०१२३४५", "０１２３４５６７", "𝟎𝟏𝟐𝟑𝟜𝟝", "᠐᠑᠒ ๐๑๒ ໐໑໒ ༠༡༢",
    "¹²³⁴⁵ ₁₂₃", "½¼¾⅓⅔ ⅞", "ⅠⅡⅢⅣ ⅰⅱⅲ ↀↁ", "①②③ ⑴⑵ ⒈⒉ ❶❷", "㈠㈡ ㊀㊁ ㉑㉒", "一二三四五六七八九十", "𐄇𐄈 𐅀 𒐀𒐁",
    "12٣٤5６Ⅶ⑧", "x²+y³=z⁴", "1st 2nd 3rd 4th", "٣.١٤", "100%", "$5.00 €6 £7 ¥8", "10km 5°C", "007", " 1 2  3   4",
    "1\n2\n\n3", "12 34", "v2.0.1", "২০২৪ ௨௦ ൧൨",
]

SPACES = [
    "", " ", "  ", "   ", "    ", "        ", " " * 17, " " * 64, "\t", "\t\t", "\t\t\t\t", "\n", "\n\n", "\n\n\n", "\n" * 9,
    "\r", "\r\n", "\r\n\r\n", "\n\r", "\r\r\n\n", " \n", "\n ", " \n ", "  \n  ", "\n  a", "a  \n", "a \n b", "a\n\n b\n\n\n  c",
    "a b", "a  b", "a   b", "a    b", " a", "  a", "   a", "a ", "a  ", "a   ", "\ta", " \ta", "\t a", "a\t", "a \t b", "a\t b",
    "line one\r\nline two\r\n\r\nline four", "trailing spaces   \nnext", "   leading", "\n\n\nleading newlines",
    "a\u00a0b", "\u00a0", "\u00a0\u00a0", " \u00a0 ", "a \u00a0b", "a\u00a0 b", "\u2003\u2003x", "\u3000全角\u3000空格", "a\u2009b\u200ac",
    "\u1680a", "\u2028a\u2029b", "a\u2028\n\u2029", "a\u0085b", "\u0085\u0085", "a\u000bb\u000cc", "\u000b\u000c", "\u202f1\u202f000",
    "\u205fx\u2000y\u2001z", "zero\u200bwidth\u200b \u200b", "\ufeffBOM", "word\u2060joiner", "a\u180eb", "\u180e \u180e",
    "soft\u00adhyphen", "\u200e\u200fabc\u202aabc\u202c", " .", "  .", " ,a", "!\n", "!\n\n", "!\r\n", "! \n", "?\n?\n", " !\n a", "a!\n\nb",
    ".\n\n\n  \n.", " \t\n\r \t", "\u3000\n\u3000", "\u00a0\n\u00a0a", "a \u3000 b", "\u001c\u001d\u001e\u001f a", "a\u001cb",
]

CONTRACTIONS = [
    "I'm you're he's she'd we'll they've isn't it's",
    "I'M YOU'RE HE'S SHE'D WE'LL THEY'VE ISN'T IT'S",
    "I'm'S 'Tis 'twas rock'n'roll 'll 're've",
    "don't Don'T DON'T don’t d'accord l'homme",
    "'s 't 're 've 'm 'll 'd", "'S 'T 'RE 'VE 'M 'LL 'D", "'Re 'Ve 'Ll 'rE 'vE 'lL", "''s '''t", "'sa 'ta 'rea 'vea 'ma 'lla 'da",
    "' s' t", "a's1's\n's", "'ſ 'ſa a'ſ", "x'\u017f y'\u212a", "1's 2't 3'll", "é's ñ'll 你's", "'x 'é '你 '1 '! ' '\n", "o'clock O'Neill", "'l 'r 'v 'le",
]

MARKS = [
    "é è ê ë vs e\u0301 e\u0300 e\u0302 e\u0308", "e\u0301\u0301\u0301", "\u0301", " \u0301a", "a\u0301b\u0301", "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033da\u030al\u0334g\u0321o\u0321",
    "ก็ ก้ ำ", "क्ष त्र ज्ञ", "נִקּוּד", "\u0928\u093f \u0b95\u0bc6\u0bbe", "가각 \u1100\u1161\u11a8", "ｶﾞｷﾞ ガギ", "a\u20dd 1\u20de", "\u200d\u200c\u200d", "x\ufe0fy\ufe0e",
    "A\u030a Å Å", "ﬃ ﬅ ĳ ŉ", "ά ά \u03b1\u0301", "\U000e0001\U000e0020", "\ufffd\ufffc\ufff9",
]

PUNCTUATION = [
    "...", "…", "!!!???", "--- — – - ‐ ‑", "***bold*** _it_ ~~no~~ `c`", "( a ) [b] {c} <d>", "a,b;c:d.e", "@user #tag $x %y ^z &w *v", "~`!@#$%^&*()_+-=[]{}|;':\",./<>?",
    "。、！？；：「」『』【】（）", "¡¿ §¶ †‡ •", "×÷±≤≥≠≈∞∑∏√∫", "←↑→↓ ⇒⇔ ∀∃∈∉", "┌─┐│└┘█▓▒░", "¬ ¦ ¨ ¯ ´ ¸", "\\n \\t \\\\ \\u00e9", "a.b.c.d...e", " ,;.", "_ __ ___ a_b __init__", "€£¥₹₽ ¢",
    "^^ <3 :-) ;) xD ^_^", "(╯°□°)╯︵ ┻━┻", "=====", "----------------------------------------", "//////", "a/b\\c", "\"quoted\" 'single'", "%d %s %%", "½+¼=¾", "a\u037eb",
]

LOST = [  # bytes 04 06 13 14 16 1D, C0 C1 (never in UTF-8), F1 F2 (planes 4 to 11): no base token in SmolLM2
    "\x04", "\x06", "\x13\x14", "a\x16b", "\x1d \x1d", "th\x04e", "t\x06he", " \x13the", "in\x14g\n", "1\x162", "\U00040000", "a\U00080000b", "\U000bffff\U00040000",
    "\x00", "\x01\x02\x03", "\x05\x07\x08", "\x0e\x0f\x10\x11\x12", "\x15\x17\x18\x19\x1a\x1b", "\x7f", "\x80\x81\x9f", "a\x00b\x00", "\x1b[31mred\x1b[0m",
    "\U000c0000", "\U000fffff", "\U0010ffff", "\U0010fffd", "\ue000\uf8ff", "\ufdd0\uffff\ufffe", "\U0001ffff", "hello\x04\x04 world", "\x04\x06\x13\x14\x16\x1d",
]

SPECIAL = [
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_start|>user\nhi<|im_end|>\n", "a<|im_start|>b", "a <|im_start|> b", "<|im_start|><|im_end|>", "<|im_start|><|im_start|>",
    "<<|im_end|>>", "<|im_end|", "|im_end|>", "<|im_start |>", "<|IM_START|>", "<|im_\u200bstart|>", "\n<|im_end|>\n", "  <|im_end|>  ", "<repo_name>x<reponame>y", "<file_sep><filename>a.rs<gh_stars>",
    "<issue_start><issue_comment><issue_closed>", "<jupyter_start><jupyter_text><jupyter_code>1<jupyter_output>2<jupyter_script>", "<empty_output>", "don<|im_end|>'t", "12<|im_end|>34", "é<|endoftext|>\u0301",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>", "<tool_call>{\"a\": 1}</tool_call>", "<|im_start|>assistant\n", "<s></s>[INST] [/INST]", "<|endoftext|><|endoftext|>\n\n", "<|im_<|im_end|>start|>",
]

PROSE = [
    "Hello, world!", "The quick brown fox jumps over the lazy dog.", "What is the capital of France?",
    "Once upon a time there was a small boat on a long river, and nobody knew who had built it.",
    "Dr. Smith (b. 1970) paid $3.50 for 2.5kg at 10:30 a.m. — a bargain!", "THIS IS SHOUTING. this is not.", "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abababababababababab", "hahahahahaha lol!!1", "thethethethe inginging", "A", "z", "I", ".", "é", "你", "\U0001f600", "Hello", " Hello", "HELLO", " hello", "hello ", "Hello\nWorld",
]

GROUPS = [CODE, WRITING, EMOJI, DIGITS, SPACES, CONTRACTIONS, MARKS, PUNCTUATION, LOST, SPECIAL, PROSE]


def by_hand():
    return list(dict.fromkeys(s for group in GROUPS for s in group))


def any_character(rng):
    """Any assigned or private code point, so that no Unicode version doubts its class."""
    while True:
        c = chr(rng.randrange(0x20, 0x32000))
        if unicodedata.category(c) not in ("Cs", "Cn"):
            return c


def mixed(rng):
    """A few pieces of the strings above, cut anywhere, with spaces and odd characters between."""
    hand, out = by_hand(), []
    for _ in range(rng.randrange(1, 7)):
        s = rng.choice(hand)
        a = rng.randrange(len(s) + 1)
        out.append(s[a : a + rng.randrange(1, 12)])
        out.append(rng.choice(["", "", "", " ", "  ", "\n", " \n", "'s", "7", any_character(rng)]))
    return "".join(out)


def scattered(rng):
    return "".join(any_character(rng) for _ in range(rng.randrange(1, 24)))


def spaced(rng):
    pool = " " * 6 + "\n\n\r\t\u00a0\u3000\u2028\u0085" + "aZ9!é你'"
    return "".join(rng.choice(pool) for _ in range(rng.randrange(2, 20)))


def by_chance(count, seed=2026):
    rng = random.Random(seed)
    makers = [mixed, mixed, mixed, scattered, spaced]
    return [makers[i % len(makers)](rng) for i in range(count)]


NORMAL = [  # what normalisers change, and what they have to leave
    "e\u0301\u0323x", "e\u0323\u0301x", "\u0344\u0308\u0301", "\u0340\u0341\u0343\u0374\u037e\u0387", "\u1e9b\u0323", "q\u0307\u0323", "a\u0345\u0301\u0315", "a\u0315\u0300\u05ae\u0062",
    "\u1100\u1161", "\u1100\u1161\u11a8", "\uac00\u11a8", "\uac01\u11a8", "\u1100\u1100\u1161\u1161", "\u1112\u1175\u11c2\u11c3", "\u1161\u11a8", "\uac00\u0301\u11a8", "\u1100\u0323\u1161",
    "\u212b\u2126\u212a K", "\uf900\ufa10\ufad9\U0002f800\U0002fa1d", "\ufb2c\ufb1d\ufb4e", "\u0958\u0959\u09dc\u0a33", "\u0f43\u0f73\u0f75\u0f76\u0f81", "\u2adc", "\U0001d15e\U0001d160\U0001d1bb\U0001d1bf",
    "\u09c7\u09be\u09c7\u09d7", "\u0b47\u0b56\u0b47\u0b3e", "\u0bc6\u0bbe\u0bc7\u0bbe\u0bc6\u0bd7", "\u0cc6\u0cc2\u0cd5", "\u0ddc\u0dca\u0dd9\u0dcf\u0dca", "\u1025\u102e", "\u1b05\u1b35", "\U00011099\U000110ba", "\U00011131\U00011127",
    "\u3046\u3099 \u304b\u3099\u309a \uff76\uff9e", "\u0041\u030a\u0301", "\u01fa", "\u1ea4\u1ea5 a\u0302\u0301 a\u0301\u0302", "\u0390\u1fd3 \u03b9\u0308\u0301", "\u03b1\u0345\u0313\u0301 \u1f84",
    "a" + "\u0301" * 300, "a" + "\u0323\u0301\u0327" * 60 + "b", "\u0301" * 70 + "e", "\u0327" + "o\u0328\u0304" * 9, "".join(chr(0x300 + i * 7 % 0x70) for i in range(200)), "o\u0304\u0328o\u0328\u0304\u01ed",
    "<|im_start|>\u0301x", "e<|im_end|>\u0301", "\u0338<\u0338=\u0338>\u0338", "=\u0338 \u2260 <\u0338|im_end|>", "\u00a8\u0301 \u0385 \u1fee", "\u1e0a\u0323 D\u0323\u0307 d\u0307\u0323", "\u0061\u0328\u0301\u0323", "\u0b94 \u0b92\u0bd7",
    "\u1fbe\u1fef\u1ffd\u2000\u2001\u2329\u232a", "\u0300a\u0300\u0300", "a\u034f\u0301 a\u200d\u0301", "\U0001e000\U0001e008", "\u0653\u0627\u0653\u0654\u0655\u0622", "\u06d5\u0654\u06c1\u0654", "\u0929\u0931\u0934 \u0928\u093c",
    "\ufb01\ufb02\u2460\u00bd\u2075\u3392\ufdfa\u33a5", "\uff21\uff42\uff43\u3000\uff11\uff01", "\u1d2c\u1d43\u2090\u210b\u2102", "\u0132\u0133\u01c4\u01c5\u01f1\u0149\u017f\u1e9e\u0130\u0131", "\u03a3\u03c3\u03c2 \u1e9b\u017f",
]

MARKED = [  # SentencePiece's mark, spaces at either end, bytes
    "\u2581", "\u2581\u2581", "a\u2581b", "\u2581a", " \u2581 a", "a \u2581", "\u2581\u2581\u2581 x", "<s>", "</s>", "<s> a", "a<s>b", " <s> ", "<s><s>", "<unk>", "a <unk> b", "<pad>", "<bos>hi<eos>", "<0x0A>", "<0x41>b", "<0xZZ> <0x4>",
    "<start_of_turn>user\nhi<end_of_turn>\n", "<|user|>\nhi<|end|>\n<|assistant|>\n", "<|end|> x", "[INST] hi [/INST]", "<s>[INST] <<SYS>>\nx\n<</SYS>>\n\ny [/INST] z </s><s>[INST]", "[multimodal]", "<unused1> <unused99>", "<table><tr><td>x</td></tr></table>", "<h1>a</h1><strong>b</strong>",
    "\n\n\n\n\n\n", "\t\t\t", " " * 31, "a" + " " * 40 + "b", "\u2581" * 20, "x\u2581\u2581 \u2581 y", "\U00010348\U0001f9ff\u0e3f\u16a0", "\ue000\uf8ff\U000f0000", "\U0001f1e6\U0001f1e7", "\u4e00\u4e8c\u9fa5\u9fff\U00020000\U0002a6df", "a" * 200, "ab" * 150, "\u00e9" * 90, "   a   b   c   ",
    "<|channel|>analysis<|message|>x<|end|><|start|>assistant<|return|>", "<|call|>", "<|endofprompt|>", "<\uff5cUser\uff5c>hi<\uff5cAssistant\uff5c>", "<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<META> <EOT><META_END>", "<think>\nx\n</think>\n\n", "<tool_call>\n{}\n</tool_call>",
]

CASED = [  # what splits look at beyond letters and digits
    "HelloWorld XMLHttpRequest iPhone eBay McDonald", "ABCdef GHI jkl", "\u00c9cole \u00c9COLE \u00e9COLE", "\u01c5a \u01c5A A\u01c5", "\u02b0A\u02b0a a\u02b0A", "\u6f22A\u5b57a", "A\u0301b a\u0301B", "\u0301A \u0301\u0301a", "DON'T Don't don'T DON'Tx it'SO", "a's/b'll/c", "path/to/file.rs\n", "//\n/ /", "!/\n/!", ".\r\n/", "a'S'T'RE", "x'ſy A'ſ", "'s'S 'tis", "ª\u00ba\u01bb\u01c0", "\u10a0\u10d0\u1c90", "\u13a0\uab70",
    "a.b,c;d", "--x --X ++i", "\u3002\u3001a\u300c\u300d", "(a)[b]{c}<d>", "$a ^b `c |d ~e =f +g", "12a345b6789c", "\u0661\u0662\u0663\u0664", "\u00b2\u00b3\u00b9\u00bc\u00bd\u00be 1\u00b2 \u00b212", "5\u4e00\u4e8c6", "\u3042\u30a2\u4e9c\u30fc\u3007", "\u3041-\u309f \u30a0\u30ff \u9fa5\u9fa6", "#hash_tag @at_sign", "a\u0e33\u0e48b", "\u093e\u0915\u094d", "\u20e3\u20dda", "\u2028/\u2029/", " \u00a0/a", "\t'x \t!x \n!x",
]


def hard_character(rng):
    """A character that normalisers, splits or SentencePiece have a rule for, or any other."""
    return rng.choice([rng.choice("".join(NORMAL)), rng.choice("".join(MARKED)), rng.choice("".join(CASED)), chr(rng.randrange(0x300, 0x370)), any_character(rng)])


def harder(count, seed):
    """By hand, then by chance: pieces of all of these with single hard characters between."""
    hand = list(dict.fromkeys(NORMAL + MARKED + CASED))
    rng, pool = random.Random(seed), by_hand() + hand
    for i in range(count):
        out = []
        for _ in range(rng.randrange(1, 6)):
            s = rng.choice(pool if i % 2 else hand)
            a = rng.randrange(len(s) + 1)
            out.append(s[a : a + rng.randrange(1, 14)])
            out.append(rng.choice(["", "", " ", "\n", hard_character(rng), hard_character(rng) * rng.randrange(1, 4)]))
        hand.append("".join(out))
    return list(dict.fromkeys(hand))


NUMBERED = [  # bytes B2 B3 B9 BC BD BE, which are written \u00b2\u00b3\u00b9\u00bc\u00bd\u00be, and digits and punctuation beside them
    "\u00f2", "\u00b2", "\u00b3", "\u00b9", "\u00bc", "\u00bd", "\u00be", "\u04b2", "\u00f2\u00f2\u00f2", "\u00b2\u00b3\u00b9\u00bc\u00bd\u00be", "1\u00b22", "\u00b212", "\u00b2123", "\u00b21234", "12\u00b2", "123\u00b2", "1234\u00b2123", "x\u00b2+y\u00b3=z\u2074", "\u00f2123", "\u00f2 12", "per\u00f2 pi\u00f9 citt\u00e0",
    *("1234567890"[:n] for n in range(1, 11)), *(" " + "9876543210"[:n] for n in range(1, 11)), *("a" + "0" * n + "b" for n in range(1, 11)), "  1", "   12", "    123", "1 22  333   4444", "1,234,567.89", "12:34:56", "(1)(22)(333)(4444)", "v1.22.333-rc4444", "0x1F 1e10 3.14159",
    "!", "!!", "!?", " !", "  !", "   !!", "! ", "!  ", "!\n", "\n!", "\n\n!\n\n", "a!b", "a !b", "a! b", "a ! b", "a  !  b", "a\t!", "a\u00a0!", "don't", "'s", "x's y't z're", "$5", "5$", "$ 5", "+1", "a+b", "a = b", "\u20ac5 \u00a35", "\u20ac!\u20ac", " \u20ac", "!\u20ac !", "\u00bfqu\u00e9?", "\u00ab a \u00bb", "\u2014a\u2014 \u2014", "\u201ca\u201d", "\u3001\u3002!", "\u55ae !", "~`^|<>",
    "\uff10\uff11\uff12\uff13", "\uff3b\uff3d", "\u0662\u0663\u0669", "\u0e52\u0e53", "\u2082\u2083", "\u2460\u2461\u2462", "\u2160\u2161", "\U0001d7ce\U0001d7cf", "\u2153\u00bd\u215b", "\u4e00\u4e8c\u4e09", "\u5fb3\u5f3c\u5f3d\u5f3e", "\u30bc\u30bd\u30be\u30f2\u30f3", "\u043d\u0432\u04bc\u04bd\u04be", "\u0432 1 \u0432 12 \u0432 123", "\U0001f3bc\U0001f3bd\U0001f3be\U0001f9b2", "\ufb50\ufbb2\ufbb3", "\u2028\u2029 \u2003!", "\u00b7\u0387\u05be\u066a", "a\u0301\u0332\u033c1\u0339", "\u00b21\u00b212\u00b2123\u00b21234",
    ">>TITLE<<", ">>QUESTION<<12>>ANSWER<<\u00f2", "1<|endoftext|>23", "!<|endoftext|>!",
]


def numbered(count, seed):
    """By hand, then by chance: characters whose bytes are written as numbers, digits, punctuation."""
    rng, hand = random.Random(seed), list(dict.fromkeys(NUMBERED))
    ends = [0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE]

    def inside():
        while True:
            c = chr((rng.randrange(0x80, 0x3000) if rng.random() < 0.7 else rng.randrange(0x3000, 0x20000)) & ~0x3F | rng.choice(ends) & 0x3F)
            if unicodedata.category(c) not in ("Cs", "Cn"):
                return c

    def piece():
        kind = rng.randrange(8)
        if kind < 3:
            return "".join(inside() for _ in range(rng.randrange(1, 5)))
        if kind == 3:
            return "".join(rng.choice("0123456789") for _ in range(rng.randrange(1, 11)))
        if kind == 4:
            return "".join(rng.choice("!?.,'$+=\u20ac\u00bf\u2014\u3001\u00ab") for _ in range(rng.randrange(1, 4)))
        if kind == 5:
            return "".join(rng.choice("   \n\t\u00a0\u3000") for _ in range(rng.randrange(1, 4)))
        return rng.choice(["a", "th", "\u00e9", "\u00f2", "\u4e00", any_character(rng), rng.choice("\u00b2\u00b3\u00b9\u00bc\u00bd\u00be") * rng.randrange(1, 4)])

    for _ in range(count):
        hand.append("".join(piece() for _ in range(rng.randrange(1, 8))))
    return list(dict.fromkeys(hand))


CLUSTERS = [  # what a precompiled table of SentencePiece's is asked for as a whole, or not
    "\uff21\u0301", "\uff21\u0301\u0302", "e\u0301", "e\u0301\u0302", "e\u0301\u0302\u0303", "\u212b\u0301", "\ufb01\u0301", "\u2460\u20dd", "\u0041\u0300\u0301", "\u0301\u0302", " \u0301a", "a\U000e0100", "e\u0301\U000e0100", "\u00bd\u200d", "\u00e9\u0323", "\u1e0b\u0323",
    "\r\n", "\r", "\n", "a\r\nb\n\rc\r\r\n", "\t", "\x01a\x02", "\x7f", "\x85x", "\u00ad\u0301", "\u200b\u0301x", "\ufeffa", "\u2028\u0301", "\x00a", "a\x00\u0301", "\u00a0\u0301", "\u3000\u0301", "\u2003 \u2003", " \u00a0 \u3000 ",
    "\u0600a\u0301", "\u0600\uff21", "\u06dd\uff21\u0301", "\u070f \u0301", "\u0600\u0600e\u0301", "\U000110bd\uff21\u0301", "\u0600\r\n", "\u0600\u0301", "\u0600  x",
    "\u1100\u1161", "\u1100\u1161\u0301", "\u1100\u0301", "\u1161\u0301\u11a8", "\uac00\u11a8\u0301", "\uac01\u11a8\u0301", "\uac01\u1161\u0301", "\u11a8\u0301", "\u1100\uac00\u0301", "\uac00\uac00\u0301", "\U00016d63\U00016d67\u0301", "\uffa1\uffc2", "\u3131\u314f", "\uff76\uff9e", "\uff76\u3099",
    "\u0915\u094d\u0915\u0301", "\u0915\u094d\u0958\u0301", "\u0915\u0958\u0301", "\u0915\u094d\u200d\u0958\u0301", "\u0915\u094d\u200c\u0958\u0301", "\u0915\u0903\u094d\u0958\u0301", "\u0915\u093c\u094d\u0958\u0301", "\u0995\u09cd\u09dc\u0301", "\u1000\u1039\u1000\u0301", "a\u094d\u0958\u0301", "\u0e01\u0e33\u0301", "\u0eb3\u0301",
    "\u00a9\u200d\u00ae\u0301", "\u00a9\u0301\u200d\u2122\u0301", "\u00a9\u200d\u200d\u2122\u0301", "\u00a9\u0903\u200d\u2122\u0301", "a\u200d\u2122\u0301", "\u2122\u200d\u2122\u0301", "\u2122\u0301", "\u24c2\ufe0f\u200d\u24c2\u0301", "\U0001f469\u200d\u2764\ufe0f\u200d\U0001f468", "\U0001f1eb\U0001f1f7\U0001f1ef\u0301", "\U0001f44d\U0001f3fb\u0301", "\u203c\u0301", "\U0001f250\u0301", "\U0001f3f4\U000e0067\U000e007f",
    "  ", "   a   b   ", "\u3000 a", " \u3000a", "a\u00a0 b", "a \u00a0b", "\u2581 \u2581", " \u2581  ", "a  \u200b  b", "\u200b", "<|end|>  <|end|>", "<|END|> <unused1>", "\uff1c\uff5c\uff45\uff4e\uff44\uff5c\uff1e", "[INST]  x", "  [INST]", "\ufdfa", "\u3390\u33ff", "\uff0e\uff0e\uff0e \u2026",
]


def clustered(count, seed):
    """By hand, then by chance: characters that join others, and that a table has keys of."""
    rng, hand = random.Random(seed), list(dict.fromkeys(CLUSTERS))
    marks = [chr(c) for c in [*range(0x300, 0x370, 5), 0x483, 0x591, 0x610, 0x64B, 0x6D6, 0x93C, 0x903, 0x94D, 0x9CD, 0x1039, 0xE33, 0x200C, 0x200D, 0x200D, 0xFE0F, 0x20DD, 0x3099, 0xFF9E, 0x1F3FB, 0xE0100, 0xE0020]]
    keys = list("\uff21\uff5a\uff10\ufb01\ufb2b\u2460\u212b\u2126\u1e9b\u0958\u09dc\u2122\u2139\u24c2\u3297\u203c\u00bd\u00b2\u00aa\u01c4\u0149\u0675\ufe8d\ufefb\uff76\u30ab\u304b\u1100\u1161\u11a8\uac00\uac01\uffa1\u3131\u33a5\u2f00\uf900\u3000\u00a0\u2003\u00ad\u200b\ufeff\u2028\u1fbd")
    others = list("aeoAEO x1 \r\n\t\x01\x7f\u0600\u06dd\u070f\u0890\u00a9\u00ae\u2764\u0915\u0937\u0995\u1000\u0e01\u00e9\u03b1\u0391\u0432\u05d0\u0627\u2581") + ["\U000110bd", "\U0001f469", "\U0001f1eb", "\U00016d63", "\U00016d67", "\r\n", "  "]
    for _ in range(count):
        hand.append("".join(rng.choice(rng.choice([marks, marks, keys, keys, others, [any_character(rng)]])) for _ in range(rng.randrange(2, 14))))
    return list(dict.fromkeys(hand))
