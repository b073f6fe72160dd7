"""The words of the micro world: names, kinds of things, opposites, synonyms, opinions.

Everything here is plain data. Words are written as they appear inside a sentence (names with a
capital letter). The whole project (corpus, tasks, instruction mixture) shares one small
vocabulary, so a word that is not needed in at least two places does not belong here.
"""

from __future__ import annotations

GIRLS = (
    "Anna", "Clara", "Dora", "Ella", "Greta", "Ida",
    "Lucy", "Mia", "Nora", "Rosa", "Sara", "Vera",
)  # fmt: skip
BOYS = (
    "Adam", "Ben", "Carl", "David", "Emil", "Finn",
    "Hugo", "Jack", "Leo", "Max", "Oscar", "Tom",
)  # fmt: skip
# The four elders are the mothers of everybody else; nobody in the world is an elder's mother.
ELDERS = ("Dora", "Greta", "Ida", "Vera")
# Family names for biographies of people who are not among the 24 (all are common words as well).
SURNAMES = ("Hill", "Wood", "Field", "Stone", "Bell", "Rose", "King")

# name: (region, river, known for, sight)
PLACES = {
    "Ashby": ("north", "Ode", "cheese", "castle"),
    "Barton": ("north", "Wen", "honey", "bridge"),
    "Denby": ("east", "Lune", "apples", "mill"),
    "Holt": ("east", "Ode", "wool", "tower"),
    "Milton": ("south", "Tarn", "boats", "harbor"),
    "Norwick": ("south", "Lune", "bells", "church"),
    "Oakham": ("west", "Wen", "roses", "garden"),
    "Selby": ("west", "Tarn", "bread", "market"),
}
REGIONS = ("north", "east", "south", "west")
RIVERS = ("Ode", "Wen", "Lune", "Tarn")

# job: (where the work is done, what is done in the third person, the same in the plain form)
JOBS = {
    "baker": ("bakery", "bakes bread", "bake bread"),
    "doctor": ("hospital", "helps sick people", "help sick people"),
    "farmer": ("farm", "grows carrots", "grow carrots"),
    "teacher": ("school", "teaches children", "teach children"),
    "singer": ("theater", "sings songs", "sing songs"),
    "sailor": ("ship", "sails on the sea", "sail on the sea"),
    "painter": ("studio", "paints pictures", "paint pictures"),
    "gardener": ("garden", "plants flowers", "plant flowers"),
}
PETS = ("dog", "cat", "rabbit", "parrot", "horse", "goat")
FOODS = ("bread", "cheese", "soup", "cake", "rice", "honey", "pie", "fish")
COLORS = ("red", "blue", "green", "yellow", "white", "black")

# category: members. "A trout is a fish." Members belong to one category only.
CATEGORIES = {
    "animal": ("dog", "cat", "horse", "cow", "sheep", "goat", "rabbit", "elephant"),
    "bird": ("owl", "robin", "duck", "hen", "parrot"),
    "fish": ("trout", "salmon"),
    "fruit": ("apple", "pear", "plum", "cherry"),
    "vegetable": ("carrot", "bean", "potato"),
    "tool": ("hammer", "saw", "spade", "broom"),
    "vehicle": ("cart", "bus", "train", "bike", "boat"),
    "instrument": ("drum", "flute", "piano"),
    "toy": ("doll", "kite", "ball"),
    "flower": ("rose", "tulip", "daisy"),
    "drink": ("milk", "tea", "juice"),
}
# No article and no plural: "milk is a drink", "some milk".
MASS_NOUNS = frozenset(
    {"milk", "tea", "juice", "bread", "cheese", "soup", "cake", "rice", "honey", "pie", "fish",
     "water",
     "snow", "grass", "money", "wool", "wood", "paper", "sun", "corn"}
)  # fmt: skip
IRREGULAR_PLURALS = {
    "sheep": "sheep", "fish": "fish", "trout": "trout", "salmon": "salmon", "cherry": "cherries",
    "daisy": "daisies", "child": "children", "potato": "potatoes",
    "bus": "buses",
}  # fmt: skip

# animal: (how it moves, where it lives, what it eats)
ANIMAL_FACTS = {
    "dog": ("runs", "house", "meat"),
    "cat": ("runs", "house", "fish"),
    "horse": ("runs", "stable", "grass"),
    "cow": ("walks", "field", "grass"),
    "sheep": ("walks", "field", "grass"),
    "goat": ("jumps", "field", "grass"),
    "rabbit": ("jumps", "field", "carrots"),
    "elephant": ("walks", "forest", "fruit"),
    "owl": ("flies", "forest", "meat"),
    "robin": ("flies", "garden", "worms"),
    "duck": ("swims", "river", "bread"),
    "hen": ("walks", "farm", "corn"),
    "parrot": ("flies", "house", "fruit"),
    "trout": ("swims", "river", "worms"),
    "salmon": ("swims", "sea", "worms"),
}
# tool: (plain verb, object): "You cut wood with a saw."
USES = {
    "saw": ("cut", "wood"),
    "hammer": ("hit", "nails"),
    "spade": ("dig", "holes"),
    "broom": ("sweep", "the floor"),
    "key": ("open", "the door"),
    "pen": ("write", "letters"),
    "knife": ("cut", "bread"),
    "bucket": ("carry", "water"),
    "brush": ("paint", "pictures"),
}
TYPICAL_COLORS = {
    "snow": "white", "milk": "white", "grass": "green", "night": "black",
    "fire": "red", "cherry": "red", "sun": "yellow", "corn": "yellow", "sky": "blue", "sea": "blue",
    "bean": "green",
}  # fmt: skip

# Animals that occur in the plural, for "it" and "they".
FLOCK = ("dog", "horse", "hen", "duck", "goat", "cow")
# What companies sell.
GOODS = ("apples", "boats", "roses", "bells", "cheese", "honey", "bread", "wool")

# Everyday spots where things happen, and their prepositions: "in the park".
SPOT_PREPOSITIONS = {
    "market": "at", "park": "in", "garden": "in", "school": "at", "station": "at", "beach": "on",
    "kitchen": "in", "farm": "on", "harbor": "at",
}  # fmt: skip
SPOTS = tuple(SPOT_PREPOSITIONS)
# Countable things that people buy, find, lose and carry.
THINGS = ("hat", "coat", "book", "lamp", "cup", "key", "bag", "ball", "kite", "doll", "drum",
          "flute",
          "bike", "broom", "rose", "pear", "pen", "plum")  # fmt: skip
DAYS = ("Monday", "Friday", "Sunday")
NUMBERS = ("two", "three", "four", "five", "six")

# Pairs of adjectives that exclude each other.
ANTONYMS = (
    ("big", "small"), ("hot", "cold"), ("happy", "sad"), ("fast", "slow"), ("old", "new"),
    ("full", "empty"), ("open", "closed"), ("wet", "dry"), ("clean", "dirty"), ("strong", "weak"),
    ("loud", "quiet"), ("heavy", "light"), ("early", "late"), ("tall", "short"), ("near", "far"),
    ("sweet", "sour"), ("good", "bad"), ("dark", "bright"),
)  # fmt: skip
# Pairs of words of one meaning and one part of speech: the plain word first.
SYNONYMS = {
    "big": "large", "small": "little", "happy": "glad", "sad": "unhappy", "fast": "quick",
    "sick": "ill", "afraid": "scared", "street": "road", "shop": "store", "gift": "present",
    "forest": "woods", "began": "started", "closed": "shut",
}  # fmt: skip

# feeling: what happened to somebody who feels so; past tense, without the subject.
FEELINGS = {
    "happy": ("won a prize", "got a gift", "found a lost ring", "danced at a party"),
    "sad": ("lost a toy", "said goodbye to a friend", "heard bad news", "missed a friend"),
    "afraid": ("saw a thief at night", "heard a noise at night", "was lost in the dark",
               "fell into the river"),
    "angry": ("read a bad letter", "heard a lie", "missed the train", "lost the match"),
    "tired": ("worked all day", "did not sleep", "ran all night", "carried a heavy bag"),
    "hungry": ("ate nothing all day", "had no food", "saw an empty plate", "gave the bread away"),
    "thirsty": ("drank nothing all day", "had no water", "ran in the hot sun", "ate dry bread"),
    "proud": ("passed a hard test", "sang a song well", "learned to read", "helped a lost child"),
}  # fmt: skip

# Opinions by number of stars. Adjectives come after "is"/"was"; remarks are whole sentences.
OPINION_ADJECTIVES = {
    1: ("terrible", "awful", "horrible"),
    2: ("bad", "boring", "weak"),
    3: ("fine", "average", "normal"),
    4: ("good", "nice", "useful"),
    5: ("great", "perfect", "wonderful"),
}
APP_REMARKS = {
    1: ("It never opens", "It lost all my pictures", "I hate it", "It broke my phone"),
    2: ("It is too slow", "It often stops", "I do not like it", "It has no sound"),
    3: ("It does its job", "Some of it works", "It needs more work", "I sometimes use it"),
    4: ("It works well", "I like it", "It helps me at work", "It is easy to use"),
    5: ("I love it", "It always works", "Everybody should get it", "It is the best"),
}
APPS = ("music", "game", "camera", "clock", "news", "garden", "book", "train")
FILM_PARTS = ("story", "music", "ending", "hero", "picture")
FILM_REMARKS = {
    "negative": ("I fell asleep", "I left early", "I want my money back", "nobody laughed",
                 "I hated the hero"),
    "positive": ("I laughed and cried", "I watched it twice", "everybody clapped",
                 "it won my heart",
                 "I loved the hero", "I never wanted it to end"),
}  # fmt: skip
