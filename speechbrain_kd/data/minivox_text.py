"""Random sentences for the embedded corpus, so that no file repeats another.

A small grammar over a few hundred common words and the digits: what is said
tells nothing about who says it.
"""

import numpy as np

_SUBJECTS = """the old man|my sister|a young doctor|every child|the captain
|our teacher|their neighbour|a tall woman|the farmer|his brother|some people
|the painter|a famous singer|the driver|your uncle|nobody here|the queen
|an honest judge|her cousin|the whole family|a quiet student|the baker
|many soldiers|the owner of the shop|a stranger|the boy next door|we all
|the engineer|two friends|a group of visitors|the youngest girl|everybody
|the chief editor|a police officer|those workers|the mayor|a clever fox
|the grey horse|five white birds|the big dog|a lazy cat|the committee"""
_VERBS = """opened|carried|forgot|watched|painted|sold|bought|remembered
|described|found|lost|followed|repaired|wanted|used|moved|heard about|asked for
|looked at|talked about|waited for|dreamed of|threw away|paid for|washed
|measured|studied|borrowed|returned|shared|noticed|enjoyed|avoided|examined
|collected|changed|finished|built|drew|brought|caught|chose|showed|kept"""
_OBJECTS = """the yellow boat|a glass of water|three heavy boxes|the garden gate
|an orange umbrella|the morning paper|a piece of cheese|the longest bridge
|a new language|the kitchen window|fresh vegetables|a cup of tea|the blue jacket
|an ancient map|the question|good music|a pair of shoes|the village church
|some wooden chairs|a short letter|the missing key|a thousand stories
|the silver watch|a loaf of bread|the winter coat|the old photograph
|a simple answer|the railway station|an empty bottle|the shadow of a tree
|very strange noises|a small island|the price of gold|green apples|a page
|the television|another ticket|the long journey|half of the money|a red pencil
|the school report|a beautiful picture|the engine|cold weather|his voice"""
_PLACES = """near the river|on the mountain|in the city|at the market
|behind the house|under the table|across the valley|by the lake|in the office
|on the train|outside the museum|along the beach|between the hills|at home
|in the dark forest|beside the fire|over the wall|at the airport|in hospital
|down the street|next to the bank|in front of the theatre|on a ship|upstairs"""
_TIMES = """yesterday|last summer|in the evening|before breakfast|on monday
|after the storm|early in june|at midnight|every day|for a while|in the autumn
|during the war|twice a week|on thursday|once again|all through the night
|on the first of may|in september|long ago|this afternoon|without a word
|as usual|with great care|for no reason|as fast as possible|very slowly"""
_DIGITS = "zero one two three four five six seven eight nine".split()
_NUMBERED = """room|page|platform|flight|bus|house|channel|highway|volume
|chapter|question|building|code|account|ticket"""


def _phrases(text: str) -> list[str]:
    return [phrase.strip() for phrase in text.split("|")]


_CLAUSE = [_phrases(part) for part in (_SUBJECTS, _VERBS, _OBJECTS)]
_ENDINGS = _phrases(_PLACES) + _phrases(_TIMES)
_COUNTED = _phrases(_NUMBERED)


def random_sentence(rng: np.random.Generator, characters: int) -> str:
    """Makes up a sentence.

    Arguments
    ---------
    rng : numpy.random.Generator
        Randomness.
    characters : int
        About how long it should be; it is this long at the least.

    Returns
    -------
    str

    Example
    -------
    >>> sentence = random_sentence(np.random.default_rng(0), 40)
    >>> 40 <= len(sentence) < 80
    True
    """

    def pick(choices: list[str]) -> str:
        return choices[rng.integers(len(choices))]

    words: list[str] = []
    while len(" ".join(words)) < characters:
        kind = rng.random()
        if kind < 0.2:
            digits = [pick(_DIGITS) for _ in range(rng.integers(2, 6))]
            words += [pick(_COUNTED), *digits]
        elif kind < 0.4:
            words.append(pick(_ENDINGS))
        else:
            words += [pick(part) for part in _CLAUSE]
    # Cut at a word: whole clauses would make the lengths too uneven.
    short = " ".join(words).split(" ")
    while len(" ".join(short[:-1])) >= characters:
        short.pop()
    return " ".join(short)
