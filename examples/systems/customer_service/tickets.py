"""Made-up messages of customers, with an urgency and the answer that helps, of known truth."""

import itertools

import numpy as np

DEVICES = {
    "phone": ("phone", "mobile", "handset"),
    "router": ("router", "modem", "wifi box"),
    "printer": ("printer", "laser printer", "inkjet"),
    "camera": ("camera", "webcam", "video camera"),
    "laptop": ("laptop", "notebook", "computer"),
    "speaker": ("speaker", "soundbar", "loudspeaker"),
}
PROBLEMS = {
    "does not start": ("does not start", "will not turn on", "stays dark", "is dead"),
    "is too slow": ("is too slow", "takes forever", "hangs all day", "lags"),
    "makes noise": ("makes noise", "hums and buzzes", "rattles", "crackles"),
    "lost its settings": ("lost its settings", "forgot everything", "was reset", "is blank again"),
    "gets hot": ("gets hot", "burns my hand", "overheats", "smells of smoke"),
}
REMEDIES = {
    "does not start": "hold the power button for ten seconds",
    "is too slow": "install the latest update and restart it",
    "makes noise": "check the cable and clean the contacts",
    "lost its settings": "restore the last backup from the menu",
    "gets hot": "unplug it at once and send it to our workshop",
}
URGENCY = (
    ("whenever you have time", "no hurry at all", "just curious"),
    ("please advise", "what can i do", "i need some help"),
    ("right now please", "this is an emergency", "my shop is closed because of it"),
)
PAIRS = list(itertools.product(DEVICES, PROBLEMS))
UNSEEN = PAIRS[::7]  # answers that no message in training needs
ANSWERS = [f"if your {device} {problem} please {REMEDIES[problem]}" for device, problem in PAIRS]


def make(rows, seed, pairs=None):
    """Returns messages, the number of the answer to each, and its urgency from 0 to 2.

    One message in ten speaks with another urgency than its true one.
    """
    rng = np.random.default_rng(seed)
    numbers = [PAIRS.index(pair) for pair in (pairs or PAIRS)]
    answers, urgency = rng.choice(numbers, rows), rng.integers(0, 3, rows)
    spoken = np.where(rng.random(rows) < 0.1, rng.integers(0, 3, rows), urgency)
    messages = []
    for answer, tone in zip(answers, spoken, strict=True):
        device, problem = PAIRS[answer]
        start = rng.choice(["hello", "my", "hi there my", "since monday the", "the new"])
        parts = [start, rng.choice(DEVICES[device]), rng.choice(PROBLEMS[problem])]
        messages.append(" ".join([*parts, rng.choice(URGENCY[tone])]))
    return np.array(messages), answers, urgency
