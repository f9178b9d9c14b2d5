# ruff: noqa: SIM905 - word lists read better as words
"""Sentences for generated pages: small word lists and patterns of our own, in four languages, by seed."""

from __future__ import annotations

import random

_ENGLISH = {
    "the": "the a this every that one our each another some".split(),
    "adjective": (
        "quiet northern careful remarkable provisional wooden transparent heavy unfinished reliable generous municipal "
        "independent narrow seasonal experimental long-term well-known agricultural mechanical considerable ordinary "
        "comfortable regional temporary extraordinary self-contained hydraulic"
    ).split(),
    "noun": (
        "harbour committee instrument gardener report measurement station valley library contract orchard machine "
        "temperature department settlement manufacturer archive translation laboratory correspondence merchant "
        "bridge consumption programme administration observation river ship construction carpenter invoice "
        "collection representative neighbourhood window engine"
    ).split(),
    "verb": (
        "describes follows replaced measured improved delivered considered received maintained discovered "
        "reconstructed understood documents separated carried surrounded recommended established repaired "
        "photographed catalogued borrowed"
    ).split(),
    "link": (
        "near behind within without beside under after before throughout concerning between along despite towards"
    ).split(),
    "more": "because,while,although,and,but,so that,until,whereas".split(","),
}
_GERMAN = {
    "the": "der die das ein jede diese unsere manche".split(),
    "adjective": (
        "ruhige nördliche sorgfältige vorläufige hölzerne durchsichtige schwere zuverlässige städtische "
        "landwirtschaftliche beträchtliche gewöhnliche außerordentliche"
    ).split(),
    "noun": (
        "Hafenverwaltung Messung Bibliothek Werkstatt Übersetzung Genossenschaft Brücke Versammlung Maschine "
        "Gärtnerei Untersuchung Siedlung Rechnung Sammlung Straße Wetterstation Vereinbarung Lieferung "
        "Beobachtung Nachbarschaft Temperaturschwankung"
    ).split(),
    "verb": "beschreibt verfolgt ersetzte verbesserte lieferte erhielt entdeckte trennte umgab empfahl".split(),
    "link": "neben hinter innerhalb ohne unter nach vor während zwischen entlang trotz gegenüber".split(),
    "more": "weil,während,obwohl,und,aber,damit,bis".split(","),
}
_FRENCH = {
    "the": "le la un une chaque notre cette quelque".split(),
    "adjective": (
        "tranquille remarquable provisoire transparente fiable municipale indépendante étroite "
        "saisonnière expérimentale agricole mécanique considérable ordinaire confortable régionale"
    ).split(),
    "noun": (
        "port comité instrument jardinier rapport mesure station vallée bibliothèque contrat verger machine "
        "température colonie fabricant traduction laboratoire correspondance marchand pont consommation "
        "administration rivière construction facture"
    ).split(),
    "verb": "décrit remplace mesurait améliore livre considérait reçoit maintient découvre sépare répare".split(),
    "link": "près derrière dans sans sous après avant pendant entre malgré vers concernant".split(),
    "more": "parce que,tandis que,et,mais,afin que,jusque".split(","),
}
LANGUAGES = {"en": _ENGLISH, "de": _GERMAN, "fr": _FRENCH}
_CHINESE = (
    "港口委员会仪器园丁报告测量车站山谷图书馆合同果园机器温度部门制造商档案翻译实验室商人桥梁消费管理观察河流船只"
    "建设木匠发票收集代表邻居窗户发动机安静北方小心显著临时透明可靠城市独立季节实验农业机械普通区域描述跟随替换改进"
)
VOWELS = set("aeiouyäöüéèêàâîôûAEIOUYÄÖÜÉ")


class Prose:
    """Endless text in one language (en, de, fr, zh)."""

    def __init__(self, rng: random.Random, language: str = "en") -> None:
        self.rng, self.language = rng, language

    def words(self, kind: str) -> str:
        return self.rng.choice(LANGUAGES[self.language if self.language in LANGUAGES else "en"][kind])

    def _clause(self) -> str:
        adjective = self.words("adjective") + " " if self.rng.random() < 0.7 else ""
        first = f"{self.words('the')} {adjective}{self.words('noun')} {self.words('verb')}"
        second = f"{self.words('the')} {self.words('noun')}"
        if self.rng.random() < 0.6:
            second += f" {self.words('link')} {self.words('the')} {self.words('adjective')} {self.words('noun')}"
        return f"{first} {second}"

    def sentence(self) -> str:
        if self.language == "zh":
            length = self.rng.randint(9, 22)
            text = "".join(self.rng.choice(_CHINESE) for _ in range(length))
            if length > 14:
                text = text[:7] + "，" + text[7:]
            return text + "。"
        text = self._clause()
        if self.rng.random() < 0.5:
            text += f", {self.words('more')} {self._clause()}"
        if self.rng.random() < 0.15:
            text += f" ({self.rng.randint(1870, 2024)})"
        if self.rng.random() < 0.12:
            text += (
                f" {self.rng.choice(['at', 'of', 'to', 'for'])} {self.rng.randint(2, 990)}.{self.rng.randint(0, 9)} kg"
            )
        return text[0].upper() + text[1:] + "."

    def paragraph(self, sentences: int) -> str:
        return ("" if self.language == "zh" else " ").join(self.sentence() for _ in range(sentences))

    def title(self, words: int = 4) -> str:
        if self.language == "zh":
            return "".join(self.rng.choice(_CHINESE) for _ in range(words + 3))
        picked = [self.words("adjective"), self.words("noun")]
        while len(picked) < words:
            picked += [self.rng.choice(["and", "of", "for", "in"]), self.words("noun")]
        text = " ".join(picked[:words] if picked[words - 1] not in ("and", "of", "for", "in") else picked[: words - 1])
        return text[0].upper() + text[1:]

    def item(self) -> str:
        """A short noun phrase, as in a table or list."""
        return f"{self.words('adjective')} {self.words('noun')}".capitalize()


def hyphen_points(word: str) -> list[int]:
    """Where a word of letters may be cut: before a consonant that a vowel follows, three letters from either end."""
    if not word.isalpha() or len(word) < 7:
        return []
    return [
        i
        for i in range(3, len(word) - 2)
        if word[i] not in VOWELS and word[i + 1] in VOWELS and any(letter in VOWELS for letter in word[:i])
    ]
