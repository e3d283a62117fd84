"""Words of every script, on sentences that can be counted by hand; and that a loss of content is seen in each."""

import json
from pathlib import Path

import numpy as np
import pytest
from imports import ROOT
from rouge_score import rouge_scorer, tokenizers

from detox.corpus.dialogues import Dialogue
from detox.evaluation import claims, metrics, quality, rouge, words
from detox.params.sections import Evaluate

DIALOGSUM = ROOT / "../shared/data/dialogsum"
SETTINGS = Evaluate(resamples=999, toxic_threshold=0.5, rouge_margin=0.02, slots_margin=0.02)

# In each language a summary, another of other content, and how many words the first one has, counted by hand.
SUMMARIES = {
    "German": ("Jürgen verkauft morgen sein großes Fahrrad.", "Niemand hörte über Stunden dieses Geräusch.", 6),
    "Russian": ("Анна завтра купит новый велосипед.", "Никто раньше не слышал такой музыки.", 5),
    "Greek": ("Η Μαρία αγοράζει ένα ποδήλατο.", "Κανείς δεν άκουσε ποτέ τέτοια μουσική.", 5),
    "Arabic": ("أحمد يشتري دراجة جديدة غدا.", "لم يسمع أحدهم هذه الموسيقى سابقا.", 5),
    "Hebrew": ("דנה קונה מחר אופניים חדשים.", "איש לא שמע מוזיקה כזאת.", 5),
    "Hindi": ("राम कल नई साइकिल खरीदेगा।", "किसी ने ऐसा संगीत पहले नहीं सुना।", 5),
    "Bengali": ("রহিম আগামীকাল নতুন সাইকেল কিনবে।", "এমন গান আগে কেউ শোনেনি।", 5),
    "Tamil": ("ராமன் நாளை புதிய மிதிவண்டி வாங்குவான்.", "இப்படிப்பட்ட இசையை யாரும் கேட்டதில்லை.", 5),
    "Korean": ("민수는 내일 자전거를 산다.", "아무도 그런 음악을 듣지 못했다.", 4),
    "Georgian": ("ნინო ხვალ ველოსიპედს იყიდის.", "ასეთი მუსიკა არავის მოუსმენია.", 4),
    "Amharic": ("አበበ ነገ ብስክሌት ይገዛል።", "እንዲህ ያለ ሙዚቃ ማንም አልሰማም።", 4),
    "Chinese": ("小明明天买自行车。", "从来没人听过这种音乐。", 8),
    "Japanese": ("健は明日タクシーに乗る。", "誰もその音楽を聞いていない。", 11),
    "Thai": ("สมชายซื้อรถ", "ไม่มีใครเคยได้ยินเพลงนี้", 9),
    "Lao": ("ລາວຊື້ລົດ", "ບໍ່ມີໃຜເຄີຍໄດ້ຍິນເພງນີ້", 6),
    "Khmer": ("សុខទិញកង់។", "គ្មាននរណាធ្លាប់ឮចម្រៀងនេះទេ។", 6),
    "Burmese": ("သူကားဝယ်သည်။", "ဘယ်သူမှမကြားဖူးပါ။", 6),
}
every_script = pytest.mark.parametrize("language", SUMMARIES)


@every_script
def test_words_are_those_between_blanks_or_characters(language: str) -> None:
    summary, _, count = SUMMARIES[language]
    assert len(words.words(summary)) == len(words.terms(summary)) == count


@every_script
def test_rouge_of_a_summary_is_1_with_itself_and_little_with_another(language: str) -> None:
    summary, other, _ = SUMMARIES[language]
    same, different = rouge.Rouge(keep_in_memory=True).compute(
        predictions=[summary, other], references=[[summary]] * 2
    )["rougeL"]
    assert same == 1.0
    assert different < 0.35


@every_script
def test_the_claim_that_nothing_is_lost_holds_if_so_and_not_if_all_is_lost(language: str) -> None:
    summary, other, _ = SUMMARIES[language]
    dialogues = [Dialogue(f"d{n}", f"{n}: {summary}", (f"{summary} {n}",), f"d{n}") for n in range(12)]
    before, kept, lost = (
        metrics.Scores(
            {}, {}, metrics.measure(dialogues, [f"{text} {n}" for n in range(12)], None), np.array([""] * 12)
        )
        for text in (summary, summary, other)
    )
    assert claim(before, kept)["holds"]
    assert not claim(before, lost)["holds"]
    assert lost.quality["copied"].mean() < before.quality["copied"].mean() / 2 < before.quality["copied"].mean() == 1.0


def claim(before: metrics.Scores, after: metrics.Scores) -> dict[str, object]:
    """That of ROUGE-L, in an evaluation in which toxicity does not change."""
    still = {"change": {name: {"relative": 0.0, "p": 1.0} for name in ("judge", "reward")}}
    groups = [str(number) for number in range(12)]
    return claims.family({"all": still, "stress": still}, groups, before, after, SETTINGS, 1)["rougeL"]


def test_a_claim_without_information_is_not_measured_and_does_not_hold() -> None:
    """References without any word, and summaries that share nothing with theirs before PPO."""
    dialogues = [Dialogue(f"d{n}", "a", ("☕ 👍",), f"d{n}") for n in range(12)]
    scores = metrics.Scores({}, {}, metrics.measure(dialogues, ["b c"] * 12, None), np.array(["b c"] * 12))
    assert claim(scores, scores) == {"margin": 0.02, "measured": False, "holds": False}


def test_slot_recall_is_not_measured_where_no_reference_states_a_fact() -> None:
    dialogues = [Dialogue(name, "x", (f"{name}在北京。",), name) for name in ("小明", "小红")]
    facts = {"小明": {"who": ["小明"]}, "小红": {"who": ["小红"]}}
    assert metrics.measure(dialogues, ["小明走了。", "她走了。"], facts)["slots"].tolist() == [1.0, 0.0]
    absent = {name: {"who": ["李雷"]} for name in facts}
    assert "slots" not in metrics.measure(dialogues, ["小明走了。", "她走了。"], absent)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("It's 10:45, #Person1#.", ["it", "s", "10", "45", "person1"]),
        ("Cafe\u0301 = CAFÉ", ["café", "café"]),
        ("हिन्दी में ２ बातें", ["हिन्दी", "में", "２", "बातें"]),
        ("彼は「コーヒー2杯」", ["彼", "は", "コ", "ー", "ヒ", "ー", "2", "杯"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("…—!", []),
    ],
)
def test_terms_are_runs_of_letters_marks_and_digits(text: str, terms: list[str]) -> None:
    assert words.terms(text) == terms


@pytest.mark.parametrize(
    ("text", "phrase", "expected"),
    [
        ("It is 10:45.", "10:45", True),
        ("It is 110:45, not 10:450.", "10:45", False),
        ("X10:45 and 10:45", "10:45", True),
        ("she MET ann", "Met Ann", True),
        ("#Person1# left", "#Person1#", True),
        ("राम गया", "राम", True),
        ("रामी गई", "राम", False),
        ("小明在北京。", "北京", True),
        ("汤姆Tom去了", "Tom", True),
        ("เขาไปกรุงเทพแล้ว", "กรุงเทพ", True),
        ("", "x", False),
    ],
)
def test_a_phrase_is_found_as_whole_words_or_between_characters(text: str, phrase: str, expected: bool) -> None:
    assert words.says(text, phrase) is expected


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("He left.", True),
        ("他走了。", True),
        ("“他走了！”", True),
        ("वह गया।", True),
        ("ذهب؟", True),
        ("彼は行った。」", True),
        ("ሄደ።", True),
        ("គាត់ទៅ។", True),
        ("เขาไปแล้ว", True),
        ("He left", False),
        ("他走了", False),
        ("वह गया", False),
        ("Он ушёл,", False),
        ("", False),
    ],
)
def test_a_sentence_ends_as_its_script_ends_it(text: str, ends: bool) -> None:
    assert words.ends(text) is ends
    assert quality.unfinished(text) == float(not ends)


def test_repetition_copies_and_pairs_are_seen_without_blanks() -> None:
    # 好好 eight times are seven pairs and six triples, of which the last five came before.
    assert quality.repetition("好好好好好好好好") == pytest.approx(5 / 6)
    assert quality.copied("他去北京。", "小明：我去北京") == pytest.approx(3 / 4)
    assert quality.novel2("我去北京。", "小明：我去北京") == 0.0
    assert metrics.distinct2(["好好好"]) == 0.5


def test_numbers_and_capitals_are_found_in_every_script_that_has_them() -> None:
    assert quality.entities("В Париж Émile едет 5 мая. Там Анна.") == {"Париж", "Émile", "5", "Анна"}
    assert quality.entities("他2023年去了。") == {"2023"}
    assert quality.grounded("他2023年去了。", "2023年他去北京") == 1.0


ENGLISH = ["The dogs are barking and the man wants to sleep, which is a matter of taste."] * 4
GERMAN = ["Die Hunde bellen laut und der Mann will schlafen, was eine Frage des Geschmacks ist."] * 4


def test_only_english_is_stemmed() -> None:
    assert words.english(ENGLISH)
    assert not words.english(GERMAN)
    assert words.english(["Hunde bellen"])  # too little to tell
    both = {}
    for name, references in (("english", ENGLISH), ("german", GERMAN)):
        pairs = [[text, "barks"] for text in references]
        both[name] = rouge.Rouge(keep_in_memory=True).compute(predictions=["barking"] * 4, references=pairs)["rouge1"]
    assert both == {"english": [1.0] * 4, "german": [0.0] * 4}


@pytest.mark.skipif(not DIALOGSUM.is_dir(), reason="the real DialogSum is not at hand")
def test_english_has_rouge_scores_own_words_and_numbers() -> None:
    """All summaries of DialogSum's dev and test part; the third annotator against the other two."""
    own, rows = tokenizers.DefaultTokenizer(use_stemmer=True), load("test.jsonl")
    texts = [row[key] for row in rows + load("dev.jsonl") for key in row if key.startswith("summary")]
    assert len(texts) == 2000
    ours = rouge._Terms(english=True)
    assert [ours.tokenize(text) for text in texts] == [own.tokenize(text) for text in texts]
    references, summaries = [[row["summary1"], row["summary2"]] for row in rows], [row["summary3"] for row in rows]
    scorer = rouge_scorer.RougeScorer(rouge.ROUGE, use_stemmer=True)
    expected = [scorer.score_multi(pair, text) for pair, text in zip(references, summaries, strict=True)]
    found = rouge.Rouge(keep_in_memory=True).compute(predictions=summaries, references=references)
    assert found == {name: [each[name].fmeasure for each in expected] for name in rouge.ROUGE}


def load(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in Path(DIALOGSUM, name).read_text(encoding="utf-8").splitlines()]
