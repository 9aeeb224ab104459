"""The words a story can be told with: eight slots, their values, the words that name a value, and what is told of it.

No slot word occurs in what is told of another slot, in a phrasing, or in a filler: a test holds this.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Slot: TypeAlias = Literal["character", "place", "weather", "mood", "object", "animal", "food", "ending"]

SLOTS: tuple[Slot, ...] = ("character", "place", "weather", "mood", "object", "animal", "food", "ending")

TELLINGS: dict[Slot, dict[str, str]] = {
    "character": {
        "knight": "a knight in heavy armour",
        "wizard": "a wizard with a pointed hat",
        "pirate": "a pirate with a wooden leg",
        "farmer": "a farmer in muddy boots",
        "baker": "a baker covered in flour",
        "sailor": "a sailor with salty hair",
        "teacher": "a teacher with chalky hands",
        "painter": "a painter in a stained apron",
        "robot": "a robot made of steel",
        "queen": "a queen in a silk gown",
        "doctor": "a doctor in a white coat",
        "hunter": "a hunter with a long bow",
        "miner": "a miner with a pickaxe",
        "dancer": "a dancer in soft slippers",
        "thief": "a thief behind a black mask",
        "monk": "a monk in a plain robe",
    },
    "place": {
        "castle": "at a castle with high stone walls",
        "forest": "in a forest of ancient oaks",
        "desert": "in a desert of endless sand",
        "island": "on an island ringed by waves",
        "village": "in a village of thatched huts",
        "library": "in a library full of shelves",
        "harbor": "in a harbor crowded with masts",
        "mountain": "on a mountain above the valleys",
        "cave": "in a cave of dripping rock",
        "market": "at a market of noisy stalls",
        "garden": "in a garden of blooming roses",
        "tower": "at the top of a tower with narrow stairs",
        "bridge": "on a bridge across a gorge",
        "temple": "in a temple with marble columns",
        "station": "at a station with long platforms",
        "swamp": "in a swamp of tangled reeds",
    },
    "weather": {
        "rainy": "It was rainy and water ran down the streets",
        "snowy": "It was snowy and white flakes covered everything",
        "sunny": "It was sunny and warm light poured down",
        "windy": "It was windy and hats flew away",
        "foggy": "It was foggy and nobody could see far",
        "stormy": "It was stormy and lightning split the sky",
        "cloudy": "It was cloudy and grey from morning on",
        "icy": "It was icy and people slipped and slid",
        "scorching": "It was scorching and everyone longed for shade",
        "frosty": "It was frosty and breath turned to smoke",
        "humid": "It was humid and shirts stuck to skin",
        "dusty": "It was dusty and eyes began to itch",
        "starry": "It was starry and the heavens sparkled",
        "rainbow": "A rainbow curved in seven bright stripes",
    },
    "mood": {
        "happy": "happy and smiling",
        "sad": "sad and close to tears",
        "angry": "angry with clenched fists",
        "lonely": "lonely without any company",
        "proud": "proud with a lifted chin",
        "curious": "curious and full of questions",
        "sleepy": "sleepy after many yawns",
        "nervous": "nervous with trembling knees",
        "brave": "brave and afraid of nothing",
        "jealous": "jealous of richer people",
        "bored": "bored by the same routine",
        "hopeful": "hopeful about tomorrow",
        "grumpy": "grumpy and always complaining",
        "calm": "calm and breathing slowly",
        "guilty": "guilty about an old lie",
        "playful": "playful and ready for jokes",
    },
    "object": {
        "lantern": "a lantern glowed in the dark",
        "sword": "a sword with a sharp blade waited",
        "mirror": "a mirror showed a strange face",
        "drum": "a drum boomed a steady beat",
        "kite": "a kite tugged at its string",
        "compass": "a compass needle pointed north",
        "violin": "a violin with broken strings lay",
        "crown": "a crown set with jewels shone",
        "umbrella": "an umbrella stood half open",
        "map": "a map showed secret paths",
        "candle": "a candle melted into wax",
        "coin": "a coin of pure silver rolled",
        "clock": "a clock ticked on the wall",
        "basket": "a basket woven from straw hung",
        "telescope": "a telescope aimed at distant planets stood",
        "ladder": "a ladder with missing rungs leaned",
    },
    "animal": {
        "fox": "a fox flicked its bushy tail",
        "owl": "an owl hooted with round eyes",
        "wolf": "a wolf howled and bared its fangs",
        "rabbit": "a rabbit hopped on quick paws",
        "frog": "a frog croaked and jumped",
        "horse": "a horse galloped with a flying mane",
        "parrot": "a parrot repeated every word",
        "turtle": "a turtle hid inside its shell",
        "goat": "a goat butted with its horns",
        "bear": "a bear growled and scratched",
        "swan": "a swan spread its feathers",
        "mouse": "a mouse squeaked and nibbled",
        "tiger": "a tiger crouched with its claws out",
        "crab": "a crab walked sideways on pincers",
        "spider": "a spider spun a sticky web",
        "dolphin": "a dolphin leapt and whistled",
    },
    "food": {
        "bread": "bread with a crisp crust",
        "soup": "soup from a steaming pot",
        "cake": "cake with thick icing",
        "cheese": "cheese full of holes",
        "honey": "honey dripping from a spoon",
        "rice": "rice in small bowls",
        "noodles": "noodles slurped with chopsticks",
        "pancakes": "pancakes stacked and buttered",
        "porridge": "porridge stirred with oats",
        "plums": "plums with purple skins",
        "chocolate": "chocolate melting on the tongue",
        "potatoes": "potatoes roasted in ashes",
        "apples": "apples picked from a tree",
        "salad": "salad of crunchy leaves",
        "eggs": "eggs fried in a pan",
        "pears": "pears soaked in syrup",
    },
    "ending": {
        "wedding": "a wedding with ringing bells",
        "feast": "a feast that lasted all night",
        "escape": "an escape through a hidden tunnel",
        "victory": "a victory over cruel enemies",
        "farewell": "a farewell and waving handkerchiefs",
        "reunion": "a reunion of lost brothers",
        "parade": "a parade with flags and trumpets",
        "treasure": "a treasure dug out of the earth",
        "rescue": "a rescue at the very last second",
        "voyage": "a voyage beyond the horizon",
        "promise": "a promise sworn with joined hands",
        "apology": "an apology and forgiveness",
        "lullaby": "a lullaby hummed beside a cradle",
        "trial": "a trial before a stern judge",
        "invention": "an invention that changed science",
        "earthquake": "an earthquake that shook the ground",
    },
}
"""What a story tells of each value; the value itself is a word of it."""

SYNONYMS: dict[str, str] = {
    "wizard": "magician", "sailor": "seaman", "doctor": "surgeon", "thief": "burglar", "forest": "woodland",
    "harbor": "seaport", "cave": "cavern", "swamp": "marsh", "temple": "shrine", "scorching": "sweltering",
    "stormy": "tempestuous", "foggy": "misty", "happy": "cheerful", "sad": "sorrowful", "angry": "furious",
    "nervous": "anxious", "brave": "courageous", "calm": "peaceful", "lantern": "lamp", "violin": "fiddle",
    "umbrella": "parasol", "rabbit": "bunny", "horse": "pony", "wolf": "coyote",
    "frog": "toad", "soup": "broth", "bread": "toast", "potatoes": "spuds", "escape": "getaway",
    "victory": "triumph", "farewell": "goodbye", "voyage": "odyssey", "feast": "banquet", "wedding": "marriage",
}  # fmt: skip
"""A second word for some values, in the instruction only: the story uses the value."""

UNNAMED: dict[Slot, str] = {
    "character": "someone",
    "place": "somewhere",
    "weather": "The day was like any other",
    "mood": "",
    "object": "there was nothing to see",
    "animal": "no creature came by",
    "food": "nothing at all",
    "ending": "no more to tell",
}
"""What is told when a slot is not named: never a value, so that every named word has an effect."""

NAMES: dict[str, tuple[Slot, str]] = {
    **{value: (slot, value) for slot in SLOTS for value in TELLINGS[slot]},
    **{
        other: (slot, value) for slot in SLOTS for value in TELLINGS[slot] if (other := SYNONYMS.get(value)) is not None
    },
}
"""Every word that names a value, in lower case, with its slot and value."""
