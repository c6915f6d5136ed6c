"""Words in which two questions may differ and still ask the same.

The lists are short on purpose: a word that is missing here makes a hit a miss, and one too many a
wrong answer. So there is no negation, no "all" or "some", no tense, no "must" or "may", and no word
that has an opposite.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: How one asks, not for what: English, then German, French and Spanish.
LIGHT = _words(
    """
    a an the this that these those it its there is are be been being do does have has can could
    would of for on in at to with as and so then just also using way
    please kindly thanks thank hi hello hey
    you your i me us we what which let tell give explain describe define
    der das dem des ein eine einen einem einer eines ist sind wird werden hat haben kann kannst
    können könnte bitte ich mir mich du wir es welche welcher welches für mit zu zum zur im auf und
    heißt erkläre
    le la les l un une des du de d est sont être ont peut peux pouvez s'il vous plaît merci je j moi
    tu il nous que qu quel quelle quels quelles à au aux en dans et avec sur explique
    el los las una unos unas del es ser ha puede puedes podría por favor gracias yo qué cuál cuáles
    al y para explica
    """
)
#: Each line: words that mean the same wherever they stand; the first stands for all of them.
_GROUPS = """
    airplane plane aeroplane
    begin start
    big large
    biggest largest
    buy purchase
    car automobile
    center centre
    child kid
    color colour
    create make
    end finish
    favorite favourite
    film movie
    meaning mean
    repair fix
    summary summarize summarise
    tall high height
    write compose
    not n't
    0 zero
    1 one
    2 two
    3 three
    4 four
    5 five
    6 six
    7 seven
    8 eight
    9 nine
    10 ten
    11 eleven
    12 twelve
    1st first
    2nd second
    3rd third
    cm centimeter centimetre
    kg kilogram
    km kilometer kilometre
    mm millimeter millimetre
    """
#: Word -> the one that stands for it.
SAME = {
    word: group[0] for line in _GROUPS.split("\n") if (group := line.split()) for word in group[1:]
}
#: What a question says that asks of its asker: nobody else's answer holds.
PERSONAL = _words(
    """
    my mine myself our ours ourselves mein meine meinen meinem meiner meines unser unsere unseren
    mon ma mes notre nos mi mis nuestro nuestra nuestros nuestras mio mia miei
    """
)
#: What a question says whose answer holds for a while.
OF_ITS_TIME = _words(
    """
    now today tonight tomorrow yesterday current currently latest newest recent recently nowadays
    upcoming ongoing ago presently weather forecast news
    heute jetzt morgen gestern aktuell aktuelle aktuellen aktueller aktuelles derzeit neueste
    neuesten zuletzt gerade
    aujourd'hui maintenant demain hier actuel actuelle actuellement récent récente dernièrement
    hoy ahora mañana ayer actual actualmente reciente últimamente
    """
)
#: "this week", "next year", "last month", ...: the first word is light or says when.
TIMES = _words("week month year weekend morning afternoon evening night season quarter decade")
OF_TIMES = _words("this next last past coming")
