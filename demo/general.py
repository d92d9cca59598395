"""General rows for the demo: short requests with a demand, so that training does not unlearn to follow one."""

import random

SENTENCES: dict[str, tuple[str, str]] = {
    "the moon": ("night", "The moon lights up the night sky with a soft silver glow."),
    "bread": ("flour", "Bread is baked from flour and water until its crust turns golden brown."),
    "bicycles": ("wheels", "Bicycles have two wheels and carry people through busy streets without fuel."),
    "bees": ("honey", "Bees gather nectar from flowers and turn it into honey for the winter."),
    "mountains": ("peaks", "Mountains rise above the clouds and snow stays on their highest peaks."),
    "tea": ("leaves", "Tea is made by pouring hot water over dried leaves."),
    "libraries": ("books", "Libraries lend books to everybody who wants to read and learn."),
    "spring": ("flowers", "Spring brings warm days and the first flowers after a long winter."),
    "horses": ("fields", "Horses run across open fields and sleep standing up."),
    "bridges": ("river", "Bridges let people cross a river without getting wet."),
    "clocks": ("time", "Clocks tell us the time with hands that move around a dial."),
    "potatoes": ("ground", "Potatoes grow under the ground and can be boiled or baked."),
    "ships": ("ocean", "Ships carry heavy goods across the ocean from one port to another."),
    "doctors": ("patients", "Doctors help patients to get well and to stay healthy."),
    "owls": ("dark", "Owls hunt small animals in the dark with their large eyes."),
    "chess": ("board", "Chess is a game for two players on a board of sixty-four squares."),
    "volcanoes": ("lava", "Volcanoes throw out ash and lava from deep inside the earth."),
    "paper": ("wood", "Paper is made from thin fibres of wood that are pressed and dried."),
    "farmers": ("crops", "Farmers plant crops in spring and bring them home in autumn."),
    "dolphins": ("water", "Dolphins jump out of the water and talk to each other in clicks."),
    "windmills": ("wind", "Windmills turn slowly in the wind and grind grain into flour."),
    "salt": ("taste", "Salt is taken from the sea and gives food a stronger taste."),
    "painters": ("colours", "Painters mix their colours and brush them onto a canvas."),
    "castles": ("walls", "Castles were built with thick walls to keep enemies out."),
}
"""Topic -> a word that belongs to it, and a sentence of 10 to 14 words with that word and without commas."""
LISTS = {
    "tools": ("hammer", "saw", "drill"),
    "vegetables": ("carrot", "cabbage", "onion"),
    "birds": ("robin", "eagle", "swan"),
    "sports": ("tennis", "rowing", "football"),
    "rooms": ("kitchen", "bedroom", "bathroom"),
    "months": ("March", "July", "October"),
}
ENDINGS = ("I hope this helps.", "Now you know.", "More tomorrow.", "The end.")
FORBIDDEN = ("very", "thing", "good", "never")


def exchange(rng: random.Random) -> tuple[str, str]:
    """A request and an answer that meets its demand."""
    topic = rng.choice(list(SENTENCES))
    word, sentence = SENTENCES[topic]
    ending, forbidden = rng.choice(ENDINGS), rng.choice(FORBIDDEN)
    kind = rng.choice(list(LISTS))
    count = rng.choice((2, 3))
    return rng.choice(
        (
            (f"Please tell me what you know about {topic}.", sentence),
            (f"Say something about {topic}, and mention the word {word}.", sentence),
            (f"Could you put the word {word} into a sentence on {topic}?", sentence),
            (f"I need a sentence on {topic} that has no commas in it.", sentence),
            (f"Say something about {topic}, but leave out the word {forbidden}.", sentence),
            (f"Explain {topic} to a child, with no more than 20 words.", sentence),
            (f"I want at least 8 words about {topic}.", sentence),
            (f"Write about {topic} with small letters and no capital letters.", sentence.lower()),
            (f"Write about {topic}, all in capitals.", sentence.upper()),
            (f"Quote a sentence about {topic}; begin and end with double quotation marks.", f'"{sentence}"'),
            (f"Say something about {topic}. Your last words must be: {ending}", f"{sentence} {ending}"),
            (f"Which {kind} come to mind? Give {count} markdown bullets with *.", _bullets(LISTS[kind][:count])),
            (f"Find a title for a text on {topic} and put it between << and >>.", f"<<All About {topic.title()}>>"),
        )
    )


def _bullets(words: tuple[str, ...]) -> str:
    return "\n".join(f"* {word}" for word in words)
